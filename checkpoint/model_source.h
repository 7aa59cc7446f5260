// Where a model's weights lie, whatever program wrote them: which files, and which tensor is where.
// No tensor is read.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "checkpoint/safetensors.h"
#include "proto/job.pb.h"

namespace waferstream {

struct ModelSource {
  struct Tensor {
    int file;
    TensorInfo info;  // its name as it is there
  };
  ModelSpec model;
  std::vector<std::unique_ptr<File>> files;
  std::vector<Tensor> tensors;
  bool linear = false;          // every matrix is [out, in], GPT-2's Conv1D too
  bool without_biases = false;  // it has none: they are zero
};

}  // namespace waferstream
