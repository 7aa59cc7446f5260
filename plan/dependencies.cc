#include "plan/dependencies.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "plan/job_fields.h"
#include "plan/job_keys.h"
#include "plan/kernel_order.h"

namespace waferstream {
namespace {

constexpr char kData[] = "data.train";
constexpr char kIsa[] = "kernel_isa";
constexpr char kNumericsNumber[] = "numerics";

// Whatever is added to these sections is part of the numerics unless it is named here.
constexpr absl::string_view kNumericSections[] = {"model", "data", "training"};
constexpr absl::string_view kNoNumerics[] = {
    "data.validation",
    "data.validation_sequences",
    "data.tokenizer",
    "training.validate_every",
    "training.verify",
    "training.recompute",
    "training.early_stop.patience",
    "training.early_stop.min_delta",
};

// Sections of which a job has one or none, be it the section itself or one inside it.
struct Choice {
  absl::string_view key;
  absl::string_view otherwise;
};
constexpr Choice kChoices[] = {
    {"training.optimizer", "none"},
    {"training.schedule", "constant"},
    {"training.rewarm", "none"},
    {"model.lora", "none"},
};

std::string Chosen(const Choice& choice, const JobSpec& job) {
  for (const absl::string_view section : OptionalSections()) {
    if (section == choice.key && HasSection(job, section)) return "given";
    if (!IsInside(section, choice.key) || !HasSection(job, section)) continue;
    return std::string(section.substr(choice.key.size() + 1));
  }
  return std::string(choice.otherwise);
}

// Whether what the learning rate is depends on how many steps there are.
bool DependsOnSteps(const Schedule& schedule) {
  return schedule.has_cosine() || schedule.has_linear() || schedule.has_wsd();
}

// Whether a key that may differ does so in vain: nothing that comes reads it.
bool IsIdle(const JobKey& key, const JobSpec& was, const JobSpec& is) {
  if (key.path == "training.steps") {
    return !DependsOnSteps(was.training().schedule()) && !DependsOnSteps(is.training().schedule());
  }
  const absl::string_view section = OptionalSectionOf(key.path);
  return !section.empty() && !(HasSection(was, section) && HasSection(is, section));
}

// Every file and what is in it.
std::string Describe(const DataSpec& data) {
  std::vector<std::string> files;
  for (int i = 0; i < data.train_content_size(); ++i) {
    const DataContent& content = data.train_content(i);
    files.push_back(absl::StrCat(i < data.train_size() ? data.train(i) : "?", " (", content.bytes(),
                                 " bytes, xxh3_128 ", content.xxh3_128(), ")"));
  }
  return absl::StrJoin(files, ", ");
}

bool HaveSameContent(const DataSpec& was, const DataSpec& is) {
  const auto same = [](const DataContent& before, const DataContent& now) {
    return before.xxh3_128() == now.xxh3_128() && before.bytes() == now.bytes();
  };
  return std::equal(was.train_content().begin(), was.train_content().end(),
                    is.train_content().begin(), is.train_content().end(), same);
}

bool IsKnown(const DataSpec& data) {
  return data.train_content_size() > 0 &&
         std::none_of(data.train_content().begin(), data.train_content().end(),
                      [](const DataContent& content) { return content.xxh3_128().empty(); });
}

void CompareData(const DataSpec& was, const DataSpec& is, Differences& out) {
  if (!IsKnown(is)) return;
  if (!IsKnown(was)) {
    out.unknown.push_back(kData);
  } else if (!HaveSameContent(was, is)) {
    out.found.push_back({kData, Describe(was), Describe(is)});
  }
}

void CompareKnown(const char* key, const std::string& was, const std::string& is,
                  Differences& out) {
  if (is.empty() || was == is) return;
  if (was.empty()) return out.unknown.push_back(key);
  out.found.push_back({key, was, is});
}

// What says where a job starts is no dependency of the steps that follow.
bool IsStart(absl::string_view path) {
  return path == "checkpoint.from" || path == "checkpoint.weights_only";
}

}  // namespace

bool IsNumerics(absl::string_view path) {
  const bool inside = std::any_of(std::begin(kNumericSections), std::end(kNumericSections),
                                  [&](absl::string_view s) { return IsInside(path, s); });
  const auto* end = std::end(kNoNumerics);
  return IsStart(path) || (inside && std::find(std::begin(kNoNumerics), end, path) == end);
}

const std::vector<std::string>& DependencyKeys() {
  static const auto& keys = *new std::vector<std::string>([] {
    std::vector<std::string> all;
    for (const JobKey& key : JobKeys()) {
      if (IsNumerics(key.path) && !IsStart(key.path)) all.emplace_back(key.path);
    }
    for (const Choice& choice : kChoices) all.emplace_back(choice.key);
    all.insert(all.end(), {kIsa, kNumericsNumber});
    return all;
  }());
  return keys;
}

absl::Status CheckAccept(const char* field, const std::vector<std::string>& keys) {
  const std::vector<std::string>& known = DependencyKeys();
  for (const std::string& key : keys) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        field, ": \"", key,
        "\" is nothing that weights depend on; the keys are those of the job file, like "
        "training.clip, or kernel_isa, or numerics"));
  }
  return absl::OkStatus();
}

Differences DifferencesThatMatter(const Circumstances& was, const Circumstances& is) {
  Differences out;
  for (const JobKey& key : JobKeys()) {
    if (!IsNumerics(key.path) || IsStart(key.path)) continue;
    if (key.path == kData) {
      CompareData(was.job.data(), is.job.data(), out);
      continue;
    }
    if (IsIdle(key, was.job, is.job)) continue;
    std::string before = ValueIn(key, was.job), now = ValueIn(key, is.job);
    if (before == now) continue;
    out.found.push_back({std::string(key.path), std::move(before), std::move(now)});
  }
  for (const Choice& choice : kChoices) {
    std::string before = Chosen(choice, was.job), now = Chosen(choice, is.job);
    if (before == now) continue;
    out.found.push_back({std::string(choice.key), std::move(before), std::move(now)});
  }
  // Of a portable job the CPUs do not count, and one that becomes portable differs by that.
  if (!IsPortable(was.job) && !IsPortable(is.job)) {
    CompareKnown(kIsa, was.kernel_isa, is.kernel_isa, out);
  }
  if (was.numerics != is.numerics) {
    out.found.push_back({kNumericsNumber, absl::StrCat(was.numerics), absl::StrCat(is.numerics)});
  }
  return out;
}

}  // namespace waferstream
