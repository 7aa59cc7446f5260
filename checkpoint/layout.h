// Where every parameter lies in a checkpoint's files: a pure function of the parameter list, so
// that many MemoryX nodes write into the same files without asking one another.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/safetensors.h"
#include "checkpoint/stored_dtype.h"
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
  static FileLayout OfModel(const std::vector<Parameter>& parameters);
  // Some of a model's parameters, for other programs: the same with their library's header.
  static FileLayout OfShard(const std::vector<Parameter>& parameters, StoredDtype dtype);
  // Tensor "<state>.<parameter's tensor name>" for every state that is kept of a parameter.
  static FileLayout OfOptimizer(const std::vector<Parameter>& parameters, const StateTable& states);

  const std::string& header() const { return header_; }
  uint64_t bytes() const { return bytes_; }
  // `parameter` in the list that was given. `state` counts the parameter's of OfOptimizer; else 0.
  const TensorInfo& Of(int parameter, int state = 0) const {
    return tensors_[index_[first_[parameter] + state]];
  }

 private:
  static FileLayout OfWeights(const std::vector<Parameter>& parameters, StoredDtype dtype,
                              KeyOrder keys);
  void Add(const Parameter& shape, std::string name, StoredDtype dtype);
  // When all are added.
  void Finish(KeyOrder keys);

  std::vector<int> first_;           // in index_, by parameter
  std::vector<int> index_;           // in tensors_, as they were added
  std::vector<TensorInfo> tensors_;  // by name
  std::string header_;
  uint64_t bytes_ = 0;
};

}  // namespace waferstream
