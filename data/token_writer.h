// A token file of ours, from its first token to its name.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "data/token_format.h"

namespace waferstream {

// 2, or 4 where ids below `vocab`, and a mask's bit beside them, do not go into 2.
uint32_t TokenBytesFor(uint64_t vocab, bool masked);

// Writes beside the file asked for; the destructor removes that unless it has got its name. Used
// from one thread.
class TokenWriter {
 public:
  // Of `header` all counts but the tokens are final when Publish gets them. `disk` outlives this.
  // ALREADY_EXISTS: there is a file, and `replace` is not said.
  static absl::StatusOr<std::unique_ptr<TokenWriter>> Create(Disk& disk, const std::string& path,
                                                             const TokenFileHeader& header,
                                                             bool replace);
  ~TokenWriter();
  TokenWriter(const TokenWriter&) = delete;
  TokenWriter& operator=(const TokenWriter&) = delete;

  // Marked (kNoTarget) only if the header says so.
  absl::Status Append(std::span<const uint32_t> marked);
  uint64_t tokens() const { return header_.tokens; }
  // Gives the file its name, durably. INVALID_ARGUMENT: it has no tokens.
  absl::Status Publish(uint64_t documents);

 private:
  TokenWriter(Disk& disk, std::string path, const TokenFileHeader& header, bool replace);

  Disk& disk_;
  const std::string path_;
  const std::string partial_;
  const bool replace_;
  TokenFileHeader header_;
  std::unique_ptr<File> file_;
  uint64_t at_ = sizeof(TokenFileHeader);
  std::vector<std::byte> buffer_;
};

}  // namespace waferstream
