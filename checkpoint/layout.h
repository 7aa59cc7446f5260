// Where every parameter lies in a checkpoint's files: a pure function of the parameter list, so
// that many MemoryX nodes write into the same files without asking one another.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/safetensors.h"
#include "checkpoint/stored_dtype.h"
#include "plan/model.h"
#include "proto/job.pb.h"

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

// What the optimizer keeps for every parameter: {"exp_avg", "exp_avg_sq"} for AdamW, {"momentum"}
// for SGD with momentum, nothing for SGD without.
std::vector<std::string> OptimizerStates(const Optimizer& optimizer);

// The layout of one file. Tensors are in order of name, so the file's order is the order of the
// hashes.
class FileLayout {
 public:
  static FileLayout OfModel(const std::vector<Parameter>& parameters);
  // Some of a model's parameters, for other programs: the same with their library's header.
  static FileLayout OfShard(const std::vector<Parameter>& parameters, StoredDtype dtype);
  // Tensor "<state>.<parameter's tensor name>" for every state and parameter, fp32.
  static FileLayout OfOptimizer(const std::vector<Parameter>& parameters,
                                const std::vector<std::string>& states);

  const std::string& header() const { return header_; }
  uint64_t bytes() const { return bytes_; }
  // `parameter` in the list that was given. `state` counts the states of OfOptimizer; else 0.
  const TensorInfo& Of(int parameter, int state = 0) const {
    return tensors_[index_[state * parameters_ + parameter]];
  }

 private:
  FileLayout(std::vector<TensorInfo> unsorted, size_t parameters, KeyOrder keys);

  size_t parameters_;
  std::vector<TensorInfo> tensors_;  // by name
  std::vector<int> index_;           // in tensors_, by (state, parameter)
  std::string header_;
  uint64_t bytes_ = 0;
};

}  // namespace waferstream
