// Which of a checkpoint's tensors is which parameter, and that nothing of it is left over.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/model_source.h"
#include "plan/model.h"

namespace waferstream {

struct NamedTensors {
  // By parameter; of the source. Null: a bias that it has not, and is zero.
  std::vector<const ModelSource::Tensor*> parameters;
  // A model whose output projection is its embedding may have it written down once more.
  const ModelSource::Tensor* tied_head = nullptr;
};

// `parameters` of the source's model. Names may have the base model's prefix or not. Masks and
// angles, which older releases of transformers saved beside the weights, are passed over.
// INVALID_ARGUMENT: a tensor is missing, misshapen, of a type that cannot be read, or of no
// parameter; DATA_LOSS: there twice. One line, naming file and tensor.
absl::StatusOr<NamedTensors> NameTensors(const std::string& path, const ModelSource& source,
                                         const std::vector<Parameter>& parameters);

// Of one tensor, the second half of it. INVALID_ARGUMENT.
absl::Status CheckTensor(const File& file, const TensorInfo& tensor, const Parameter& parameter);

}  // namespace waferstream
