// What lies beside a model's weights and goes with them: its tokenizer, and how text is generated.
// Nothing here reads them; who uses the model elsewhere needs them.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/disk.h"

namespace waferstream {

struct CompanionFiles {
  std::vector<std::string> names;  // that were copied
  // Of those that are there and cannot be read, one line each: a job does not end for them.
  std::vector<std::string> unreadable;
};

// Copies those that there are, byte for byte, in bounded pieces. `from` may be empty, or not
// there; `to` is a folder. An error: of writing.
absl::StatusOr<CompanionFiles> CopyCompanionFiles(Disk& disk, const std::string& from,
                                                  const std::string& to);

}  // namespace waferstream
