#include "data/piece_texts.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/json.h"
#include "base/status.h"
#include "base/text.h"

namespace waferstream {
namespace {

constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

absl::Status PieceTexts::Error(const TextPiece& piece, uint64_t line,
                               absl::string_view what) const {
  const std::string& path = files_[piece.file].path;
  const std::string place = piece.kind == InputKind::kParquet
                                ? absl::StrCat(": row ", piece.line)
                                : absl::StrCat(":", piece.line + line);
  return absl::InvalidArgumentError(absl::StrCat(path, place, ": ", what));
}

absl::Status PieceTexts::EachText(const TextPiece& piece, const TakeText& take) const {
  if (piece.kind != InputKind::kJsonLines) {
    RETURN_IF_ERROR(CheckUtf8(piece));
    return piece.bytes.empty() ? absl::OkStatus() : take(piece.bytes, 0, piece.ends_document);
  }
  return EachLine(piece, [&](absl::string_view record, uint64_t line) {
    const absl::StatusOr<std::string> text = FieldOf(record);
    if (!text.ok()) return Error(piece, line, text.status().message());
    return text->empty() ? absl::OkStatus() : take(*text, line, true);
  });
}

absl::Status PieceTexts::EachLine(const TextPiece& piece, const TakeLine& take) const {
  absl::string_view rest = piece.bytes;
  // JSON has no byte-order mark; of plain text it is a part.
  if (piece.line == 1) absl::ConsumePrefix(&rest, kByteOrderMark);
  for (uint64_t line = 0; !rest.empty(); ++line) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const absl::string_view record = absl::StripAsciiWhitespace(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (!record.empty()) RETURN_IF_ERROR(take(record, line));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> PieceTexts::FieldOf(absl::string_view record) const {
  if (!IsUtf8(record)) return absl::InvalidArgumentError("is not UTF-8");
  ASSIGN_OR_RETURN(nlohmann::json json, ParseJson(record));
  if (!json.is_object() || !json.contains(field_)) {
    return absl::InvalidArgumentError(absl::StrCat("no field \"", field_, "\""));
  }
  if (!json[field_].is_string()) {
    return absl::InvalidArgumentError(absl::StrCat("field \"", field_, "\" is no text"));
  }
  return std::move(json[field_].get_ref<std::string&>());
}

absl::Status PieceTexts::CheckUtf8(const TextPiece& piece) const {
  if (!needs_utf8_ || IsUtf8(piece.bytes)) return absl::OkStatus();
  absl::string_view rest = piece.bytes;
  while (!rest.empty() && TakePoint(rest)) continue;
  const auto bad = piece.bytes.end() - static_cast<int64_t>(rest.size());
  const auto line = static_cast<uint64_t>(std::count(piece.bytes.begin(), bad, '\n'));
  return Error(piece, line, "is not UTF-8, which this tokenizer needs");
}

}  // namespace waferstream
