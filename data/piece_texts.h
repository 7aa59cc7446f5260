// The documents in a piece of text, checked: UTF-8 where that is needed, JSON with the field.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "data/input_files.h"
#include "data/text_source.h"

namespace waferstream {

// Immutable: may be used from any thread. Errors are INVALID_ARGUMENT with file and line.
class PieceTexts {
 public:
  // A document, or a part of one; `line` counts from the piece's first, 0.
  using TakeText =
      std::function<absl::Status(absl::string_view text, uint64_t line, bool ends_document)>;
  using TakeLine = std::function<absl::Status(absl::string_view record, uint64_t line)>;

  // `files` outlives this.
  PieceTexts(const std::vector<InputFile>& files, std::string field, bool needs_utf8)
      : files_(files), field_(std::move(field)), needs_utf8_(needs_utf8) {}

  // Ends with the first error of `take`. Empty documents are left out.
  absl::Status EachText(const TextPiece& piece, const TakeText& take) const;
  // Of JSON-lines: every line that is not blank.
  absl::Status EachLine(const TextPiece& piece, const TakeLine& take) const;
  absl::Status Error(const TextPiece& piece, uint64_t line, absl::string_view what) const;

 private:
  absl::StatusOr<std::string> FieldOf(absl::string_view record) const;
  absl::Status CheckUtf8(const TextPiece& piece) const;

  const std::vector<InputFile>& files_;
  const std::string field_;
  const bool needs_utf8_;
};

}  // namespace waferstream
