// A model with low-rank adapters, as other programs take it: merged into the plain model, or the
// adapters alone, as PEFT keeps them.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "checkpoint/checkpoint_reader.h"
#include "plan/model.h"
#include "plan/partition.h"

namespace waferstream {

// The weights of the plain model: W + alpha / rank * B A of a matrix with adapters. The sum is
// taken in double and rounded once. Not thread-safe.
class MergedWeights {
 public:
  // `reader` has `all` parameters of `model`, and outlives it.
  MergedWeights(const CheckpointReader& reader, const ModelSpec& model,
                const std::vector<Parameter>& all);

  // Those of the plain model.
  const std::vector<Parameter>& parameters() const { return plain_; }

  // Rows of one of them. Memory: the whole of one A, and the rows' part of B.
  absl::Status Read(int parameter, RowSpan rows, float* values);

 private:
  // Places in the list of all.
  struct Source {
    int weights = -1;
    int a = -1, b = -1;  // -1: it has no adapters
  };
  absl::Status LoadA(const Source& source);

  const CheckpointReader& reader_;
  const std::vector<Parameter>& all_;
  const double scale_;
  std::vector<Parameter> plain_;
  std::vector<Source> sources_;  // by plain parameter
  std::vector<float> a_, b_;
  int loaded_ = -1;  // of which a_ is
};

// adapter_config.json of the adapters among `all` parameters of a model.
std::string PeftConfigJson(const ModelSpec& model, const std::vector<Parameter>& all);

// The adapters, by their names in adapter_model.safetensors; and their places among `all`.
struct PeftAdapters {
  std::vector<Parameter> parameters;
  std::vector<int> places;
};
PeftAdapters PeftAdaptersOf(const std::vector<Parameter>& all);

}  // namespace waferstream
