// Token files made of text, in parallel, with the same bytes whatever the number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/parallel.h"
#include "checkpoint/disk.h"
#include "data/document_encoder.h"
#include "data/input_files.h"
#include "data/token_format.h"
#include "data/tokenizer_files.h"

namespace waferstream {

struct PrepareOptions {
  std::string out;
  bool overwrite = false;
  EncoderOptions encoder;
};

// Called between pieces of work, on the calling thread; an error ends the work with it. May be
// empty.
using OnPrepared = std::function<absl::Status(uint64_t bytes_done, uint64_t bytes_total)>;

struct Prepared {
  TokenFileHeader header;        // as it is in the file
  uint64_t with_end_inside = 0;  // documents (EncodedText)
};

// All of `files` are text. Memory: two rounds of pieces and their tokens, and what the libraries
// need for one piece a thread. INVALID_ARGUMENT: as TextSource and DocumentEncoder, the first of
// the input's order; ALREADY_EXISTS: options.out is there. After an error nothing is left.
absl::StatusOr<Prepared> PrepareText(Disk& disk, const std::vector<InputFile>& files,
                                     const TokenizerFiles& tokenizer, const PrepareOptions& options,
                                     Parallel& workers, const OnPrepared& on_progress);

}  // namespace waferstream
