// A byte-level BPE vocabulary learnt from text, as a folder that transformers loads.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "data/input_files.h"

namespace waferstream {

struct LearnOptions {
  uint32_t vocab = 0;  // at most; 256 bytes, the token that ends a document, and merges
  std::string end_of_text = "<|endoftext|>";
  std::string field = "text";
};

// As OnPrepared of prepare.h, but called on any thread, one at a time.
using OnLearning = std::function<absl::Status(uint64_t bytes_done, uint64_t bytes_total)>;

// The content of a tokenizer.json. All of `files` are text. The same text gives the same bytes.
// Memory: the different words of the text with their counts. Errors as PrepareText's.
absl::StatusOr<std::string> LearnTokenizer(Disk& disk, const std::vector<InputFile>& files,
                                           const LearnOptions& options,
                                           const OnLearning& on_progress);

// tokenizer.json and what transformers wants beside it, into a folder that is there.
absl::Status WriteTokenizerFiles(Disk& disk, const std::string& folder, const std::string& json,
                                 const std::string& end_of_text);

}  // namespace waferstream
