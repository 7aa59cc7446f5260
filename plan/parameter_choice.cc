#include "plan/parameter_choice.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/name_pattern.h"
#include "base/nearest_name.h"
#include "base/status.h"
#include "plan/learning_rate.h"

namespace waferstream {
namespace {

constexpr absl::string_view kFreeze = "training.freeze";
constexpr absl::string_view kDecay = "training.decay";
constexpr absl::string_view kNoDecay = "training.no_decay";

bool Matches(const std::string& pattern, const Parameter& p) {
  return MatchesPattern(pattern, p.name) || MatchesPattern(pattern, p.prefix + p.name);
}

bool MatchesAny(const Patterns& patterns, const Parameter& p) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return Matches(pattern, p); });
}

const Patterns& PatternsOf(absl::string_view key, const TrainingSpec& training) {
  if (key == kFreeze) return training.freeze();
  if (key == kDecay) return training.decay();
  WS_CHECK(key == kNoDecay);
  return training.no_decay();
}

absl::Status CheckPattern(absl::string_view key, const std::string& pattern,
                          const std::vector<Parameter>& parameters) {
  NearestName nearest(pattern);
  for (const Parameter& p : parameters) {
    if (Matches(pattern, p)) return absl::OkStatus();
    nearest.Consider(p.name);
  }
  // A pattern with stars is near no name; then any name shows what names look like.
  const std::string hint = nearest.found().empty()
                               ? absl::StrCat("names are like ", parameters.back().name)
                               : absl::StrCat("did you mean ", nearest.found(), "?");
  return absl::InvalidArgumentError(
      absl::StrCat(key, ": \"", pattern, "\" matches no tensor of the model; ", hint));
}

void ChooseTrained(const JobSpec& job, std::vector<Parameter>& parameters) {
  for (Parameter& p : parameters) {
    if (job.model().has_lora() && !p.adapter) p.trained = false;
    if (MatchesAny(job.training().freeze(), p)) p.trained = false;
    if (!p.trained) p.contributions = 0;
  }
}

void ChooseDecayed(const TrainingSpec& training, std::vector<Parameter>& parameters) {
  for (Parameter& p : parameters) {
    if (!training.decay().empty()) p.decayed = MatchesAny(training.decay(), p);
    if (MatchesAny(training.no_decay(), p)) p.decayed = false;
  }
}

// Muon's own are the matrices of products: neither embeddings nor the output projection.
void ChooseOrthogonal(const Graph& graph, std::vector<Parameter>& parameters) {
  for (const GraphNode& node : graph.nodes) {
    if (node.kind != OpKind::kMatmul && node.kind != OpKind::kExpertMatmul) continue;
    for (const int matrix : node.matrices) {
      parameters[matrix].orthogonal = parameters[matrix].trained;
    }
  }
}

bool NeedsWhole(const Optimizer& optimizer, const Parameter& p) {
  return p.trained && (optimizer.has_adafactor() || p.orthogonal);
}

// A vector that is cut like a matrix is whole when the matrix is.
absl::Status MakeWhole(const TrainingSpec& training, std::vector<Parameter>& parameters) {
  const Parameter* largest = nullptr;
  for (const Parameter& p : parameters) {
    if (!NeedsWhole(training.optimizer(), p)) continue;
    Parameter& cut = p.cut_like >= 0 ? parameters[p.cut_like] : parameters[&p - &parameters[0]];
    cut.one_tile = true;
    if (largest == nullptr || cut.rows * cut.cols > largest->rows * largest->cols) largest = &cut;
  }
  if (largest == nullptr) return absl::OkStatus();
  const auto elements = static_cast<uint64_t>(largest->rows * largest->cols);
  if (elements <= training.tile_elements()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("training.tile: ", training.tile_elements(), " is less than the ", elements,
                   " elements of ", largest->name, ", which training.optimizer.",
                   OptimizerName(training.optimizer()), " needs in one tile"));
}

}  // namespace

std::vector<absl::string_view> PatternKeys() { return {kFreeze, kDecay, kNoDecay}; }

absl::Status CheckPatterns(absl::string_view key, const TrainingSpec& training,
                           const std::vector<Parameter>& parameters) {
  for (const std::string& pattern : PatternsOf(key, training)) {
    RETURN_IF_ERROR(CheckPattern(key, pattern, parameters));
  }
  return absl::OkStatus();
}

absl::Status ChooseParameters(const JobSpec& job, const Graph& graph,
                              std::vector<Parameter>& parameters) {
  const TrainingSpec& training = job.training();
  for (const absl::string_view key : PatternKeys()) {
    RETURN_IF_ERROR(CheckPatterns(key, training, parameters));
  }
  ChooseTrained(job, parameters);
  ChooseDecayed(training, parameters);
  if (std::none_of(parameters.begin(), parameters.end(),
                   [](const Parameter& p) { return p.trained; })) {
    return absl::InvalidArgumentError(absl::StrCat(kFreeze, ": nothing is left to train"));
  }
  if (training.optimizer().has_muon()) ChooseOrthogonal(graph, parameters);
  return MakeWhole(training, parameters);
}

}  // namespace waferstream
