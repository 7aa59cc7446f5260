// nanoGPT's ckpt.pt: torch.save of a dictionary with the weights (model) and the shape (model_args)
// beside what its optimizer kept, which is not read.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "checkpoint/model_source.h"

namespace waferstream {

// A GPT-2 with exact GELU. Its matrices are nn.Linear's, [out, in] in all; one trained without
// biases has zeros for them here. INVALID_ARGUMENT: no such file, or of a shape or variant that is
// not read; DATA_LOSS: damaged. One line, naming the file.
absl::StatusOr<ModelSource> OpenNanoGpt(std::unique_ptr<File> file);

}  // namespace waferstream
