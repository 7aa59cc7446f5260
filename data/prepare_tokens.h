// Token files made of files that hold tokens already: our own, llm.c's, headerless, Megatron's.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "data/input_files.h"
#include "data/prepare.h"

namespace waferstream {

// What is known of the tokens beside the files. Without a tokenizer: what our own files say of
// theirs, else the largest id decides.
struct TokensOptions {
  std::string out;
  bool overwrite = false;
  std::optional<uint32_t> vocab;        // also tells uint32 from uint16 where no header does
  std::optional<uint32_t> end_of_text;  // put behind Megatron's documents that do not end so
  std::array<uint64_t, 2> tokenizer = {0, 0};
};

// None of `files` is text. Memory: one piece. INVALID_ARGUMENT, one line with the file: as
// TokenFile and MegatronFile, an id that is not below the vocabulary, masked and unmasked files
// together, or files of different tokenizers. After an error nothing is left.
absl::StatusOr<Prepared> PrepareTokens(Disk& disk, const std::vector<InputFile>& files,
                                       const TokensOptions& options, const OnPrepared& on_progress);

}  // namespace waferstream
