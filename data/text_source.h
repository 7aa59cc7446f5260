// Text of files in pieces of bounded size, in the files' order.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "checkpoint/disk.h"
#include "data/input_files.h"
#include "data/parquet_rows.h"
#include "data/tokenizer.h"

namespace waferstream {

// A document or a part of one; of JSON-lines, whole lines.
struct TextPiece {
  std::string bytes;
  InputKind kind = InputKind::kText;
  size_t file = 0;
  uint64_t line = 1;  // the first of it; of Parquet, the row
  bool ends_document = false;
};

// Used from one thread at a time.
class TextSource {
 public:
  // What a piece holds, about; more where no cut is allowed, up to kDocumentBytesMax.
  static constexpr size_t kPieceBytes = size_t{64} << 10;
  static constexpr size_t kDocumentBytesMax = size_t{16} << 20;

  // All files are text. `disk` and what `files` refers to outlive this.
  TextSource(Disk& disk, const std::vector<InputFile>& files, std::string field, Cuts cuts);

  // Appends pieces until they have `bytes_min` bytes; none: there are no more. INVALID_ARGUMENT,
  // with file and line: a file cannot be read or is damaged; a document, or a line, is too long.
  absl::Status Read(size_t bytes_min, std::vector<TextPiece>& pieces);

  // Of all files, about.
  uint64_t bytes_done() const { return bytes_before_ + bytes_here_; }

 private:
  absl::Status Open();
  absl::Status Fill();
  absl::Status ReadSome(std::vector<TextPiece>& pieces);
  absl::Status ReadRows(std::vector<TextPiece>& pieces);
  absl::Status Give(size_t bytes, bool ends_document, std::vector<TextPiece>& pieces);
  void Close();
  size_t CutOf(bool at_end) const;

  Disk& disk_;
  const std::vector<InputFile>& files_;
  const std::string field_;
  const Cuts cuts_;
  size_t at_ = 0;               // the file
  std::unique_ptr<File> file_;  // null: it is not open
  std::unique_ptr<ParquetRows> rows_;
  uint64_t size_ = 0;  // of the open file
  uint64_t read_ = 0;  // bytes of it in buffer_ or given
  uint64_t line_ = 1;  // of the buffer's first byte; of Parquet, the next row
  std::string buffer_;
  uint64_t bytes_before_ = 0;
  uint64_t bytes_here_ = 0;
};

}  // namespace waferstream
