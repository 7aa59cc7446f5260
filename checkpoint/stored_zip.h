// A zip whose entries are stored as they are, as torch.save writes it: each is a range of the file.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "checkpoint/disk.h"

namespace waferstream {

struct FileRange {
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

// Whether the file begins as a zip does.
absl::StatusOr<bool> IsZip(const File& file);

// By name. Reads the directory and the entries' headers, and nothing else. DATA_LOSS: it is no
// whole zip, an entry is compressed or encrypted, lies outside the file, or is there twice.
absl::StatusOr<std::map<std::string, FileRange>> ReadStoredZip(const File& file);

}  // namespace waferstream
