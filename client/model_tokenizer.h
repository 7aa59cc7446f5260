// Which tokenizer makes text of a model's tokens.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/tokenizer_files.h"
#include "proto/job.pb.h"

namespace waferstream {

// What is `named` (as OpenTokenizer takes it), else what lies beside the checkpoint, else, of a
// model of 256 tokens, bytes; nullopt: nothing does. INVALID_ARGUMENT, one line with the file: it
// is none, or as CheckFits.
absl::StatusOr<std::optional<TokenizerFiles>> TokenizerFor(const std::string& named,
                                                           const std::string& checkpoint,
                                                           const ModelSpec& model);

// INVALID_ARGUMENT, naming its file: it has more tokens than the model.
absl::Status CheckFits(const TokenizerFiles& files, const ModelSpec& model);

}  // namespace waferstream
