// llm.c's model files: a header of 256 words of 32 bits, then the tensors one after the other, each
// over all layers. Versions 3 (fp32) and 5 (bf16); the embedding has more rows than there are
// tokens, which nothing uses.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "checkpoint/model_source.h"

namespace waferstream {

// Whether the file begins as one does.
absl::StatusOr<bool> IsLlmC(const File& file);

// A GPT-2; matrices are [out, in] in all. INVALID_ARGUMENT: another version, or a model that this
// system cannot run; DATA_LOSS: the file has not the length that its header asks for. One line,
// naming the file.
absl::StatusOr<ModelSource> OpenLlmC(std::unique_ptr<File> file);

}  // namespace waferstream
