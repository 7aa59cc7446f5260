// A file of tokens, mapped into memory and read at random.
//
//   name.bin   little-endian uint16 tokens; with llm.c's 1024-byte header (int32 magic 20240520,
//              version 1, token count) or, when the first four bytes are not that magic, without
//   name.txt   bytes; every byte is a token (the byte tokenizer, vocabulary 256)
//
// Opened once, then read-only: all methods may be called from any thread. The file must not be
// shortened while it is open; touching a page that is gone is a bus error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace waferstream {

class TokenFile {
 public:
  // INVALID_ARGUMENT, one line naming the file: missing, unreadable, empty, an odd number of bytes,
  // a token count that is not the header's, an ending that is neither .bin nor .txt.
  static absl::StatusOr<std::unique_ptr<TokenFile>> Open(const std::string& path);
  ~TokenFile();
  TokenFile(const TokenFile&) = delete;
  TokenFile& operator=(const TokenFile&) = delete;

  // Tokens in the file.
  int64_t size() const { return tokens_; }

  // Copies tokens [first, first + out.size()), which must exist.
  void CopyTokens(int64_t first, std::span<uint16_t> out) const;

  // Reads every token once. INVALID_ARGUMENT: one is not below `vocab`; names the first.
  absl::Status CheckVocabulary(uint32_t vocab) const;

  // Samples of `context` tokens, floor((size - 1) / context): sample k is the tokens
  // [k * context, (k + 1) * context], the last of which is only a target.
  // INVALID_ARGUMENT: there is not one.
  absl::StatusOr<int64_t> Samples(uint32_t context) const;

  // Names the content: XXH3-64 over the file's size and the hashes of its head and tail of
  // kFingerprintBytesMax / 2 each. That is every byte of a file up to kFingerprintBytesMax; a
  // larger one is named by its size and ends, so that naming it takes no longer.
  uint64_t Fingerprint() const;
  static constexpr size_t kFingerprintBytesMax = size_t{64} << 20;

 private:
  TokenFile(std::string path, const std::byte* mapped, size_t bytes)
      : path_(std::move(path)), mapped_(mapped), bytes_(bytes) {}
  absl::Status ReadFormat();
  absl::Status ReadLlmcHeader();
  absl::Status Error(const std::string& what) const;

  const std::string path_;
  const std::byte* const mapped_;
  const size_t bytes_;
  size_t data_offset_ = 0;  // of the first token
  int token_bytes_ = 2;
  int64_t tokens_ = 0;
};

}  // namespace waferstream
