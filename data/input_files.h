// The files that tokens are made of, by kind.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace waferstream {

enum class InputKind {
  kText,       // .txt: one document
  kJsonLines,  // .jsonl: one document a line
  kParquet,    // .parquet: one document a row
  kTokens,     // .bin: tokens already, ours, llm.c's or without a header
  kMegatron,   // .bin with an .idx beside it
};

struct InputFile {
  std::string path;
  InputKind kind;
  uint64_t bytes;
};

// The files that `paths` name, in that order; of a folder all that it holds at any depth with such
// an ending, by path in the order of its bytes. INVALID_ARGUMENT, one line with the path: not
// there, of no known ending, a folder without any, or tokens beside text.
absl::StatusOr<std::vector<InputFile>> FindInputs(const std::vector<std::string>& paths);

inline bool IsText(InputKind kind) { return kind < InputKind::kTokens; }

}  // namespace waferstream
