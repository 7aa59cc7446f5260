#include "plan/job_keys.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "plan/job_fields.h"
#include "plan/job_kind.h"

namespace waferstream {
namespace {

using enum KeyKind;

// Bounds that keep every product of shapes within 64 bits, every count within an int, and the time
// and memory that a plan takes within seconds and a GiB (with the bounds of plan/tables.cc).
constexpr double kCountMax = 2147483647;
constexpr double kWidthMax = 1 << 20;

constexpr JobKey kKeys[] = {
    {.path = "name", .kind = kName, .fallback = "job"},

    // Which families there are is known where their parameters are built (plan/model.cc).
    {.path = "model.family", .kind = kName, .fallback = "gpt2"},
    {.path = "model.layers", .kind = kWhole, .required = true, .low = 1, .high = 1 << 12},
    {.path = "model.hidden", .kind = kWhole, .required = true, .low = 1, .high = kWidthMax},
    {.path = "model.heads", .kind = kWhole, .required = true, .low = 1, .high = kWidthMax},
    // Above 2^16 tokens are uint32 in data files.
    {.path = "model.vocab", .kind = kWhole, .required = true, .low = 1, .high = 1 << 20},
    {.path = "model.context", .kind = kWhole, .required = true, .low = 1, .high = kWidthMax},
    // Without a fallback of its own: 4 * hidden.
    {.path = "model.ffn", .kind = kWhole, .low = 1, .high = 16 * kWidthMax},
    {.path = "model.tied", .kind = kFlag, .fallback = "true"},
    {.path = "model.norm_eps", .kind = kReal, .fallback = "1e-5", .high = 1, .open_low = true},
    {.path = "model.kv_heads", .kind = kWhole, .fallback = "0", .high = kWidthMax},
    {.path = "model.head_dim", .kind = kWhole, .fallback = "0", .high = 256},
    {.path = "model.window", .kind = kWhole, .fallback = "0", .high = kCountMax},
    {.path = "model.sequential", .kind = kFlag, .fallback = "false"},
    {.path = "model.experts", .kind = kWhole, .fallback = "0", .high = kExpertsMax},
    {.path = "model.experts_per_token", .kind = kWhole, .fallback = "0", .high = kExpertsMax},
    {.path = "model.norm_topk", .kind = kFlag, .fallback = "false"},
    {.path = "model.router_aux_loss", .kind = kReal, .fallback = "0", .high = 1e3},
    {.path = "model.exact_gelu", .kind = kFlag, .fallback = "false"},
    {.path = "model.rope_theta", .kind = kReal, .fallback = "0", .high = 1e12},
    {.path = "model.rope_fraction", .kind = kReal, .fallback = "0", .high = 1},
    {.path = "model.rope_factor", .kind = kReal, .fallback = "0", .high = 1e6},
    {.path = "model.rope_low_freq_factor", .kind = kReal, .fallback = "0", .high = 1e6},
    {.path = "model.rope_high_freq_factor", .kind = kReal, .fallback = "0", .high = 1e6},
    {.path = "model.rope_original_context", .kind = kWhole, .fallback = "0", .high = kCountMax},

    {.path = "model.dropout", .kind = kReal, .fallback = "0", .high = 1, .open_high = true},
    {.path = "model.lora.rank", .kind = kWhole, .required = true, .low = 1, .high = 1 << 12},
    {.path = "model.lora.alpha", .kind = kReal, .required = true, .open_low = true},
    {.path = "model.lora.targets", .kind = kTextList, .required = true},
    {.path = "model.lora.dropout", .kind = kReal, .fallback = "0", .high = 1, .open_high = true},

    {.path = "data.train", .kind = kPathList, .required = true},
    {.path = "data.weights", .kind = kRealList, .high = 1e6, .open_low = true},
    {.path = "data.isolate_documents", .kind = kFlag, .fallback = "false"},
    {.path = "data.validation", .kind = kPath},
    {.path = "data.tokenizer", .kind = kPath},
    {.path = "data.validation_sequences", .kind = kWhole, .fallback = "0", .high = kCountMax},
    {.path = "data.shuffle", .kind = kWord, .fallback = "none", .words = "none|epoch"},

    {.path = "training.steps", .kind = kWhole, .required = true, .low = 1, .high = kCountMax},
    {.path = "training.global_batch", .kind = kWhole, .required = true, .low = 1, .high = 1 << 24},
    {.path = "training.micro_batch", .kind = kWhole, .required = true, .low = 1, .high = 1 << 24},
    {.path = "training.precision", .kind = kWord, .fallback = "f32", .words = "f32|bf16"},
    {.path = "training.seed", .kind = kWhole, .fallback = "0", .high = 0x1p64},
    {.path = "training.optimizer.adamw.lr", .kind = kReal, .required = true, .open_low = true},
    {.path = "training.optimizer.adamw.betas",
     .kind = kRealPair,
     .field = "training.optimizer.adamw.beta",
     .fallback = "[0.9, 0.95]",
     .high = 1,
     .open_high = true},
    {.path = "training.optimizer.adamw.eps", .kind = kReal, .fallback = "1e-8", .open_low = true},
    {.path = "training.optimizer.adamw.weight_decay", .kind = kReal, .fallback = "0.1"},
    {.path = "training.optimizer.sgd.lr", .kind = kReal, .required = true, .open_low = true},
    {.path = "training.optimizer.sgd.momentum",
     .kind = kReal,
     .fallback = "0",
     .high = 1,
     .open_high = true},
    {.path = "training.optimizer.sgd.weight_decay", .kind = kReal, .fallback = "0"},
    {.path = "training.optimizer.lion.lr", .kind = kReal, .required = true, .open_low = true},
    {.path = "training.optimizer.lion.betas",
     .kind = kRealPair,
     .field = "training.optimizer.lion.beta",
     .fallback = "[0.9, 0.99]",
     .high = 1,
     .open_high = true},
    {.path = "training.optimizer.lion.weight_decay", .kind = kReal, .fallback = "0.1"},
    {.path = "training.optimizer.adafactor.lr", .kind = kReal, .required = true, .open_low = true},
    {.path = "training.optimizer.adafactor.beta2_decay",
     .kind = kReal,
     .fallback = "-0.8",
     .low = -1,
     .high = 0,
     .open_high = true},
    {.path = "training.optimizer.adafactor.eps",
     .kind = kReal,
     .fallback = "1e-3",
     .open_low = true},
    {.path = "training.optimizer.adafactor.clip_threshold",
     .kind = kReal,
     .fallback = "1",
     .open_low = true},
    {.path = "training.optimizer.adafactor.weight_decay", .kind = kReal, .fallback = "0"},
    {.path = "training.optimizer.muon.lr", .kind = kReal, .required = true, .open_low = true},
    {.path = "training.optimizer.muon.momentum",
     .kind = kReal,
     .fallback = "0.95",
     .high = 1,
     .open_high = true},
    {.path = "training.optimizer.muon.weight_decay", .kind = kReal, .fallback = "0.1"},
    {.path = "training.optimizer.muon.rest.lr", .kind = kReal, .required = true, .open_low = true},
    {.path = "training.optimizer.muon.rest.betas",
     .kind = kRealPair,
     .field = "training.optimizer.muon.rest.beta",
     .fallback = "[0.9, 0.95]",
     .high = 1,
     .open_high = true},
    {.path = "training.optimizer.muon.rest.eps",
     .kind = kReal,
     .fallback = "1e-8",
     .open_low = true},
    {.path = "training.optimizer.muon.rest.weight_decay", .kind = kReal, .fallback = "0.1"},
    {.path = "training.schedule.cosine.warmup", .kind = kWhole, .fallback = "0", .high = kCountMax},
    {.path = "training.schedule.cosine.min_lr", .kind = kReal, .fallback = "0"},
    {.path = "training.schedule.linear.warmup", .kind = kWhole, .fallback = "0", .high = kCountMax},
    {.path = "training.schedule.linear.min_lr", .kind = kReal, .fallback = "0"},
    {.path = "training.schedule.wsd.warmup", .kind = kWhole, .fallback = "0", .high = kCountMax},
    {.path = "training.schedule.wsd.decay", .kind = kWhole, .required = true, .high = kCountMax},
    {.path = "training.schedule.wsd.min_lr", .kind = kReal, .fallback = "0"},
    {.path = "training.schedule.constant.warmup",
     .kind = kWhole,
     .fallback = "0",
     .high = kCountMax},
    {.path = "training.rewarm.from", .kind = kWhole, .required = true, .high = kCountMax},
    {.path = "training.rewarm.steps",
     .kind = kWhole,
     .required = true,
     .low = 1,
     .high = kCountMax},
    {.path = "training.freeze", .kind = kTextList},
    {.path = "training.decay", .kind = kTextList},
    {.path = "training.no_decay", .kind = kTextList},
    {.path = "training.label_smoothing",
     .kind = kReal,
     .fallback = "0",
     .high = 1,
     .open_high = true},
    {.path = "training.z_loss", .kind = kReal, .fallback = "0", .high = 1},
    {.path = "training.early_stop.patience",
     .kind = kWhole,
     .required = true,
     .low = 1,
     .high = kCountMax},
    {.path = "training.early_stop.min_delta", .kind = kReal, .fallback = "0"},
    {.path = "training.clip", .kind = kReal, .fallback = "1.0"},
    {.path = "training.validate_every", .kind = kWhole, .fallback = "50", .high = kCountMax},
    {.path = "training.verify", .kind = kReal, .fallback = "0", .high = 1},
    {.path = "training.recompute",
     .kind = kWord,
     .fallback = "auto",
     .words = "auto|none|selective|full"},
    {.path = "training.kernels", .kind = kWord, .fallback = "native", .words = "native|portable"},
    {.path = "training.tile",
     .kind = kElements,
     .field = "training.tile_elements",
     .fallback = "1M",
     .low = 1,
     .high = 1 << 30},

    {.path = "cluster.wafers.max",
     .kind = kWhole,
     .field = "cluster.wafers",
     .fallback = "1",
     .low = 1,
     .high = 1 << 16},
    {.path = "cluster.wafers.min",
     .kind = kWhole,
     .field = "cluster.wafers_min",
     .fallback = "0",
     .high = 1 << 16},
    {.path = "cluster.memoryx.nodes",
     .kind = kWhole,
     .field = "cluster.memoryx",
     .fallback = "1",
     .low = 1,
     .high = 1 << 16},
    {.path = "cluster.memoryx.replicas",
     .kind = kWhole,
     .field = "cluster.replicas",
     .fallback = "1",
     .low = 1,
     .high = 1 << 16,
     .unset_is_zero = true},
    {.path = "cluster.swarmx", .kind = kWhole, .fallback = "1", .low = 1, .high = 1 << 16},
    {.path = "cluster.fanout", .kind = kWhole, .fallback = "4", .low = 2, .high = 1 << 16},
    {.path = "cluster.planes", .kind = kWhole, .fallback = "1", .low = 1, .high = 256},
    // Machines whose every figure is published.
    {.path = "cluster.wafer.profile", .kind = kChoice, .fallback = "wse3", .words = "wse2|wse3"},
    {.path = "cluster.wafer.sram",
     .kind = kBytes,
     .field = "cluster.wafer.sram_bytes",
     .fallback = "4GiB",
     .low = 1,
     .high = 0x1p50},
    {.path = "cluster.wafer.kernel_threads",
     .kind = kWhole,
     .fallback = "1",
     .low = 1,
     .high = 1024},

    {.path = "checkpoint.every", .kind = kWhole, .fallback = "0", .high = kCountMax},
    {.path = "checkpoint.keep", .kind = kWhole, .fallback = "3", .low = 1, .high = kCountMax},
    {.path = "checkpoint.keep_best", .kind = kFlag, .fallback = "false"},
    {.path = "checkpoint.dir", .kind = kFolder},
    {.path = "checkpoint.from", .kind = kFolder},
    {.path = "checkpoint.weights_only", .kind = kFlag, .fallback = "false"},
    // Which keys there are to accept is known in plan/dependencies.cc.
    {.path = "checkpoint.accept", .kind = kTextList},
};

constexpr absl::string_view kOptionalSections[] = {
    "training.optimizer.adamw",   "training.optimizer.sgd",
    "training.optimizer.lion",    "training.optimizer.adafactor",
    "training.optimizer.muon",    "training.schedule.cosine",
    "training.schedule.linear",   "training.schedule.wsd",
    "training.schedule.constant", "training.rewarm",
    "training.early_stop",        "model.lora",
};

constexpr std::pair<absl::string_view, absl::string_view> kShorthands[] = {
    {"cluster.wafers", "cluster.wafers.max"},
    {"cluster.memoryx", "cluster.memoryx.nodes"},
};

absl::Status CheckNumber(const JobKey& key, absl::string_view field, const JobSpec& job) {
  const double value = NumberIn(job, field);
  if (key.unset_is_zero && value == 0) return absl::OkStatus();
  return CheckBounds(key.path, value, BoundsOf(key));
}

absl::Status CheckKey(const JobKey& key, const JobSpec& job) {
  switch (key.kind) {
    case kName:
    case kPath:
    case kFolder:
    case kChoice: {
      const std::string text = TextIn(job, key.Field());
      return text.empty() ? absl::OkStatus() : CheckText(key, text);
    }
    case kWord: {
      // Proto enums carry any number.
      const auto words = std::count(key.words.begin(), key.words.end(), '|') + 1;
      return CheckBounds(key.path, NumberIn(job, key.Field()),
                         {.high = static_cast<double>(words) - 1});
    }
    case kTextList:
    case kPathList:
      for (const std::string& text : TextsIn(job, key.Field())) {
        RETURN_IF_ERROR(CheckText(key, text));
      }
      return absl::OkStatus();
    case kRealList:
      for (const double number : RealsIn(job, key.Field())) {
        RETURN_IF_ERROR(CheckBounds(key.path, number, BoundsOf(key)));
      }
      return absl::OkStatus();
    case kFlag:
      return absl::OkStatus();
    case kRealPair:
      RETURN_IF_ERROR(CheckNumber(key, absl::StrCat(key.Field(), 1), job));
      return CheckNumber(key, absl::StrCat(key.Field(), 2), job);
    case kWhole:
    case kElements:
    case kBytes:
    case kReal:
      return CheckNumber(key, key.Field(), job);
  }
  WS_CHECK(false && "unknown KeyKind");
}

std::string Shortest(double number) {
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof(text), number).ptr);
}

}  // namespace

std::span<const JobKey> JobKeys() { return kKeys; }

absl::string_view KeyMeantBy(absl::string_view section) {
  for (const auto& [path, key] : kShorthands) {
    if (path == section) return key;
  }
  return {};
}

bool IsInside(absl::string_view path, absl::string_view section) {
  return path.size() > section.size() && absl::StartsWith(path, section) &&
         path[section.size()] == '.';
}

std::span<const absl::string_view> OptionalSections() { return kOptionalSections; }

absl::string_view OptionalSectionOf(absl::string_view path) {
  for (absl::string_view section : kOptionalSections) {
    if (IsInside(path, section)) return section;
  }
  return {};
}

std::vector<absl::string_view> OptionsOf(absl::string_view section) {
  std::vector<absl::string_view> options;
  for (const absl::string_view optional : kOptionalSections) {
    if (IsInside(optional, section)) options.push_back(optional);
  }
  return options;
}

absl::Status CheckOptions(const std::function<bool(absl::string_view section)>& has) {
  for (const absl::string_view section : {"training.optimizer", "training.schedule"}) {
    std::vector<absl::string_view> names;
    int given = 0;
    for (const absl::string_view option : OptionsOf(section)) {
      names.push_back(option.substr(section.size() + 1));
      given += has(option) ? 1 : 0;
    }
    const bool needed = section == "training.optimizer";
    if (given == 1 || (given == 0 && !needed)) continue;
    return absl::InvalidArgumentError(absl::StrCat(section, ": give ", needed ? "" : "at most ",
                                                   "one of ", absl::StrJoin(names, ", ")));
  }
  return absl::OkStatus();
}

Bounds BoundsOf(const JobKey& key) {
  return {.low = key.low, .high = key.high, .open_low = key.open_low, .open_high = key.open_high};
}

std::string ValueIn(const JobKey& key, const JobSpec& job) {
  switch (key.kind) {
    case kName:
    case kPath:
    case kFolder:
    case kChoice:
      return TextIn(job, key.Field());
    case kWord: {
      const std::vector<std::string> words = absl::StrSplit(key.words, '|');
      const uint64_t word = WholeIn(job, key.Field());
      return word < words.size() ? words[word] : absl::StrCat(word);
    }
    case kFlag:
      return WholeIn(job, key.Field()) != 0 ? "true" : "false";
    case kWhole:
    case kElements:
    case kBytes:
      return absl::StrCat(WholeIn(job, key.Field()));
    case kReal:
      return Shortest(NumberIn(job, key.Field()));
    case kRealPair:
      return absl::StrCat("[", Shortest(NumberIn(job, absl::StrCat(key.Field(), 1))), ", ",
                          Shortest(NumberIn(job, absl::StrCat(key.Field(), 2))), "]");
    case kTextList:
    case kPathList:
      return absl::StrCat("[", absl::StrJoin(TextsIn(job, key.Field()), ", "), "]");
    case kRealList: {
      std::vector<std::string> numbers;
      for (const double number : RealsIn(job, key.Field())) numbers.push_back(Shortest(number));
      return absl::StrCat("[", absl::StrJoin(numbers, ", "), "]");
    }
  }
  WS_CHECK(false && "unknown KeyKind");
}

absl::Status CheckText(const JobKey& key, absl::string_view text) {
  switch (key.kind) {
    case kName:
      return CheckName(key.path, text);
    case kChoice:
      return ParseWord(key.path, text, key.words).status();
    default:
      RETURN_IF_ERROR(CheckPath(key.path, text));
      // A message with other bytes in it would be refused by whoever receives it.
      return CheckText(key.path, text);
  }
}

absl::Status CheckKeys(const JobSpec& job) {
  for (const JobKey& key : kKeys) {
    const bool of_training = IsInside(key.path, "training") || IsInside(key.path, "data");
    if (of_training && job.has_generate()) continue;
    // No job file asks for an evaluation.
    if (key.path == "training.steps" && Evaluates(job)) continue;
    const absl::string_view section = OptionalSectionOf(key.path);
    if (!section.empty() && !HasSection(job, section)) continue;
    RETURN_IF_ERROR(CheckKey(key, job));
  }
  return absl::OkStatus();
}

absl::Status CheckKeys(const ModelSpec& model) {
  JobSpec job;
  *job.mutable_model() = model;
  for (const JobKey& key : kKeys) {
    if (!IsInside(key.path, "model")) continue;
    const absl::string_view section = OptionalSectionOf(key.path);
    if (section.empty() || HasSection(job, section)) RETURN_IF_ERROR(CheckKey(key, job));
  }
  return absl::OkStatus();
}

absl::Status CheckGeneration(const GenerateSpec& generate, const ModelSpec& model) {
  RETURN_IF_ERROR(CheckBounds("generate.top_p", generate.top_p(), kTopP));
  RETURN_IF_ERROR(CheckBounds("generate.tokens", generate.tokens(), kGeneratedTokens));
  RETURN_IF_ERROR(CheckBounds("generate.temperature", generate.temperature(), kTemperature));
  if (generate.prompt().empty()) return absl::InvalidArgumentError("generate.prompt: is empty");
  for (const uint32_t token : generate.prompt()) {
    if (token < model.vocab()) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "generate.prompt: ", token, " is not below the vocabulary of ", model.vocab()));
  }
  return absl::OkStatus();
}

absl::Status CheckAmendments(const TrainingSpec& training) {
  for (const Amendment& amendment : training.amendments()) {
    // 0: as it was.
    RETURN_IF_ERROR(CheckBounds("training.amendments.lr", amendment.lr(), {}));
  }
  return absl::OkStatus();
}

}  // namespace waferstream
