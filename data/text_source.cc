#include "data/text_source.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

absl::Status InFile(const std::string& path, const absl::Status& status) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", status.message()));
}

}  // namespace

TextSource::TextSource(Disk& disk, const std::vector<InputFile>& files, std::string field,
                       Cuts cuts)
    : disk_(disk), files_(files), field_(std::move(field)), cuts_(cuts) {}

absl::Status TextSource::Read(size_t bytes_min, std::vector<TextPiece>& pieces) {
  size_t given = 0;
  while (given < bytes_min && at_ < files_.size()) {
    if (!file_ && !rows_) RETURN_IF_ERROR(Open());
    const size_t before = pieces.size();
    RETURN_IF_ERROR(rows_ ? ReadRows(pieces) : ReadSome(pieces));
    for (size_t i = before; i < pieces.size(); ++i) given += pieces[i].bytes.size();
  }
  return absl::OkStatus();
}

absl::Status TextSource::Open() {
  const InputFile& input = files_[at_];
  line_ = 1;
  read_ = 0;
  buffer_.clear();
  if (input.kind == InputKind::kParquet) {
    auto rows = ParquetRows::Open(input.path, field_);
    if (!rows.ok()) return InFile(input.path, rows.status());
    rows_ = *std::move(rows);
    return absl::OkStatus();
  }
  auto file = disk_.OpenForReading(input.path);
  if (!file.ok()) return absl::InvalidArgumentError(file.status().message());
  file_ = *std::move(file);
  ASSIGN_OR_RETURN(size_, file_->Size());
  return absl::OkStatus();
}

void TextSource::Close() {
  file_.reset();
  rows_.reset();
  bytes_before_ += files_[at_].bytes;
  bytes_here_ = 0;
  ++at_;
}

absl::Status TextSource::Fill() {
  const size_t more = std::min<uint64_t>(kPieceBytes, size_ - read_);
  const size_t had = buffer_.size();
  buffer_.resize(had + more);
  RETURN_IF_ERROR(file_->ReadAt(read_, buffer_.data() + had, more));
  read_ += more;
  bytes_here_ = read_;
  return absl::OkStatus();
}

// How much of the buffer makes a piece; 0: it takes more.
size_t TextSource::CutOf(bool at_end) const {
  if (at_end) return buffer_.size();
  if (files_[at_].kind == InputKind::kText) return LastCut(buffer_, buffer_.size(), cuts_);
  const size_t line_end = buffer_.rfind('\n');
  return line_end == std::string::npos ? 0 : line_end + 1;
}

absl::Status TextSource::ReadSome(std::vector<TextPiece>& pieces) {
  if (read_ < size_) RETURN_IF_ERROR(Fill());
  const bool at_end = read_ == size_;
  const size_t cut = CutOf(at_end);
  if (cut > 0) RETURN_IF_ERROR(Give(cut, at_end, pieces));
  if (at_end) {
    Close();
    return absl::OkStatus();
  }
  if (buffer_.size() <= kDocumentBytesMax) return absl::OkStatus();
  const bool is_text = files_[at_].kind == InputKind::kText;
  return absl::InvalidArgumentError(
      absl::StrCat(files_[at_].path, ":", line_, ": ",
                   is_text ? "from here on there is no place to cut it for this tokenizer within "
                           : "a line of more than ",
                   kDocumentBytesMax >> 20, " MiB",
                   is_text ? "; give it as several documents (.jsonl, or several files)" : ""));
}

absl::Status TextSource::Give(size_t bytes, bool ends_document, std::vector<TextPiece>& pieces) {
  TextPiece piece;
  piece.kind = files_[at_].kind;
  piece.file = at_;
  piece.line = line_;
  piece.ends_document = ends_document;
  std::string rest = buffer_.substr(bytes);
  buffer_.resize(bytes);
  piece.bytes = std::exchange(buffer_, std::move(rest));
  line_ += static_cast<uint64_t>(std::count(piece.bytes.begin(), piece.bytes.end(), '\n'));
  pieces.push_back(std::move(piece));
  return absl::OkStatus();
}

absl::Status TextSource::ReadRows(std::vector<TextPiece>& pieces) {
  absl::StatusOr<std::vector<std::string>> rows = rows_->Next(kPieceBytes);
  if (!rows.ok()) return InFile(files_[at_].path, rows.status());
  if (rows->empty()) {
    Close();
    return absl::OkStatus();
  }
  for (std::string& row : *rows) {
    pieces.push_back({std::move(row), InputKind::kParquet, at_, line_++, true});
  }
  const double share = static_cast<double>(line_ - 1) / static_cast<double>(rows_->count());
  bytes_here_ = static_cast<uint64_t>(share * static_cast<double>(files_[at_].bytes));
  return absl::OkStatus();
}

}  // namespace waferstream
