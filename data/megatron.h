// Megatron-LM's pair of files: tokens (.bin), and where each document begins and ends (.idx).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/disk.h"

namespace waferstream {

// Used from one thread.
class MegatronFile {
 public:
  // `bin` ends in .bin; the index is beside it. INVALID_ARGUMENT, one line with the file: it is
  // none, its parts do not fit one another, or its tokens are no whole numbers of 16 or 32 bits.
  static absl::StatusOr<std::unique_ptr<MegatronFile>> Open(Disk& disk, const std::string& bin);

  uint64_t documents() const { return bounds_.size() - 1; }
  uint64_t bytes() const { return bytes_; }
  // Calls `take` with the tokens of one document after the other, in bounded pieces.
  absl::Status EachPart(const std::function<absl::Status(std::span<const uint32_t> tokens,
                                                         bool ends_document)>& take) const;

 private:
  MegatronFile() = default;
  absl::Status ReadIndex(Disk& disk, const std::string& path);
  absl::Status Error(const std::string& path, absl::string_view what) const;

  std::string path_;
  std::unique_ptr<File> file_;
  uint64_t bytes_ = 0;
  uint32_t token_bytes_ = 2;
  bool is_signed_ = false;
  std::vector<uint64_t> bounds_;  // in bytes: document i is [bounds_[i], bounds_[i + 1])
};

}  // namespace waferstream
