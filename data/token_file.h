// A file of tokens, read at random.
//
//   name.bin   little-endian tokens. With our own header (data/token_format.h), which also says
//   what
//              ends a document and may mark tokens that are no targets. With one of llm.c's
//              1024-byte headers (int32 magic, version,
//              token count): uint16 for magic 20240520, version 1; uint32 for 20240801, version 7.
//              Without: uint16, or uint32 where the vocabulary has more than 2^16.
//   name.txt   bytes; every byte is a token (the byte tokenizer, vocabulary 256)
//
// Open reads the file through once and keeps a hash of every kChunkBytes; from then on no byte is
// handed out that is not the one that was there then. A file that is changed, shortened or taken
// away meanwhile is an error of the read that meets it: never other tokens, never a signal.
//
// Opened once, then read-only: all methods may be called from any thread. Danger: reads block on
// the disk.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "data/token_format.h"
#include "proto/job.pb.h"

namespace waferstream {

// What a file's own header says; nullopt: it has none of ours. Errors: as Disk and File.
absl::StatusOr<std::optional<TokenFileHeader>> ReadTokenHeader(Disk& disk, const std::string& path);

class TokenFile {
 public:
  // What is read and checked together. A sample touches one or two; the table of hashes takes
  // sizeof(uint64_t) / kChunkBytes of the file's size.
  static constexpr size_t kChunkBytes = size_t{16} << 10;

  // `disk` outlives the file. INVALID_ARGUMENT, one line naming the file: missing, closed to us,
  // empty, no regular file, part of a token at its end, a token count that is not the header's, an
  // ending that is neither .bin nor .txt, or changed while it was read. UNAVAILABLE: the disk
  // fails, which may pass.
  static absl::StatusOr<std::unique_ptr<TokenFile>> Open(Disk& disk, const std::string& path,
                                                         uint32_t vocab = 1 << 16);
  TokenFile(const TokenFile&) = delete;
  TokenFile& operator=(const TokenFile&) = delete;

  const std::string& path() const { return path_; }
  // Tokens in the file.
  int64_t size() const { return tokens_; }
  // The token that ends a document, where the file says so.
  std::optional<uint32_t> end_of_text() const { return end_of_text_; }
  // Whether some tokens may be no targets.
  bool is_masked() const { return ~id_bits_ != 0; }
  // Names what was in the file when it was opened.
  const DataContent& content() const { return content_; }

  // Whether the path still leads to the file as it was when it was opened, by its stamp. False for
  // good once a read met something else.
  bool IsAsOpened() const;

  // Copies tokens [first, first + out.size()), which must exist. One line naming file and place:
  // UNAVAILABLE: they cannot be read; DATA_LOSS: they are no longer those that were there.
  absl::Status CopyTokens(int64_t first, std::span<uint32_t> out) const;
  // The same, with the mask's bit in those that are no targets (IsTarget, IdOf).
  absl::Status CopyMarked(int64_t first, std::span<uint32_t> out) const;
  // Targets among tokens [first, first + count), which must exist. Errors as CopyTokens.
  absl::StatusOr<uint64_t> CountTargets(int64_t first, int64_t count) const;
  bool IsTarget(uint32_t marked) const { return (marked & ~id_bits_) == 0; }
  uint32_t IdOf(uint32_t marked) const { return marked & id_bits_; }

  // INVALID_ARGUMENT: some token is not below `vocab`; names the first. Else as
  // CopyTokens.
  absl::Status CheckVocabulary(uint32_t vocab) const;

  // Samples of `context` tokens, floor((size - 1) / context): sample k is the tokens
  // [k * context, (k + 1) * context], the last of which is only a target.
  // INVALID_ARGUMENT: there is not one.
  absl::StatusOr<int64_t> Samples(uint32_t context) const;

 private:
  TokenFile(Disk& disk, std::string path, std::unique_ptr<File> file, const FileStamp& opened,
            size_t bytes, int token_bytes);
  // Reads everything once: the format, the hashes, the largest token.
  absl::Status Scan();
  absl::Status ReadFormat(std::span<const std::byte> head);
  struct Header {
    int32_t magic;
    int32_t version;
    int token_bytes;
  };
  static const Header kHeaders[2];
  absl::Status ReadOwnHeader(const TokenFileHeader& header);
  absl::Status ReadLlmcHeader(std::span<const std::byte> head, const Header& header);
  // Chunk `index` as it is now, and checked against the table.
  absl::Status ReadChunk(size_t index, std::vector<std::byte>& chunk) const;
  absl::Status ReadVerified(size_t index, std::vector<std::byte>& chunk) const;
  absl::Status Error(const std::string& what) const;

  Disk& disk_;
  const std::string path_;
  const std::unique_ptr<File> file_;
  const FileStamp opened_;
  const size_t bytes_;
  size_t data_offset_ = 0;  // of the first token
  int token_bytes_;         // without a header, to begin with
  int64_t tokens_ = 0;
  uint32_t id_bits_ = ~uint32_t{0};
  std::optional<uint32_t> end_of_text_;
  uint32_t largest_token_ = 0;
  std::vector<uint64_t> chunk_hashes_;
  DataContent content_;
  mutable std::atomic<bool> disagreed_ = false;
};

}  // namespace waferstream
