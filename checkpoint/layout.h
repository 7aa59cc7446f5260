// Where every parameter lies in a checkpoint's files: a pure function of the parameter list, so
// that many MemoryX nodes write into the same files without asking one another.
#pragma once

#include <string>
#include <vector>

#include "base/dtype.h"
#include "checkpoint/safetensors.h"
#include "plan/model.h"
#include "plan/optimizer_state.h"

namespace waferstream {

inline constexpr char kModelFile[] = "model.safetensors";
inline constexpr char kOptimizerFile[] = "optimizer.safetensors";
inline constexpr char kConfigFile[] = "config.json";
inline constexpr char kManifestFile[] = "waferstream.json";

// The parameter's name in model.safetensors: as Hugging Face's own save_pretrained writes a whole
// model, whose base model has a prefix.
std::string TensorName(const Parameter& parameter);

// Its shape there: one dimension for a vector; [in, out] where the file has it transposed.
std::vector<int64_t> TensorShape(const Parameter& parameter);

// The layout of one file. Tensors are in order of name, so the file's order is the order of the
// hashes.
class FileLayout {
 public:
  static FileLayout OfModel(const std::vector<Parameter>& parameters, Dtype dtype);
  // Tensor "<state>.<parameter's tensor name>" for every state that is kept of a parameter.
  static FileLayout OfOptimizer(const std::vector<Parameter>& parameters, const StateTable& states);

  const std::string& header() const { return header_; }
  uint64_t bytes() const { return bytes_; }
  // `state` counts the parameter's states of OfOptimizer; 0 for OfModel.
  const TensorInfo& Of(int parameter, int state = 0) const {
    return tensors_[index_[first_[parameter] + state]];
  }

 private:
  void Add(const Parameter& shape, std::string name, Dtype dtype);
  // When all are added.
  void Finish();

  std::vector<int> first_;           // in index_, by parameter
  std::vector<int> index_;           // in tensors_, as they were added
  std::vector<TensorInfo> tensors_;  // by name
  std::string header_;
  uint64_t bytes_ = 0;
};

}  // namespace waferstream
