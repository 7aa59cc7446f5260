#include "data/document_encoder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {

DocumentEncoder::DocumentEncoder(const TokenizerFiles& tokenizer,
                                 const std::vector<InputFile>& files, EncoderOptions options)
    : tokenizer_(tokenizer),
      options_(std::move(options)),
      texts_(files, options_.field, tokenizer.tokenizer().needs_utf8()) {}

absl::Status DocumentEncoder::Encode(const TextPiece& piece, EncodedText& out) const {
  if (options_.chat) return EncodeChat(piece, out);
  return texts_.EachText(piece, [&](absl::string_view text, uint64_t line, bool ends_document) {
    const size_t first = out.tokens.size();
    const absl::Status status = EncodeText(text, out.tokens);
    if (!status.ok()) return texts_.Error(piece, line, status.message());
    if (ends_document) EndDocument(first, out);
    return absl::OkStatus();
  });
}

absl::Status DocumentEncoder::EncodeChat(const TextPiece& piece, EncodedText& out) const {
  return texts_.EachLine(piece, [&](absl::string_view record, uint64_t line) {
    const size_t first = out.tokens.size();
    const absl::Status status = tokenizer_.chat->Encode(*tokenizer_.json, record, out.tokens);
    if (!status.ok()) return texts_.Error(piece, line, status.message());
    EndDocument(first, out);
    return absl::OkStatus();
  });
}

void DocumentEncoder::EndDocument(size_t first, EncodedText& out) const {
  ++out.documents;
  if (!options_.end_of_text) return;
  const auto is_end = [&](uint32_t token) { return (token & ~kNoTarget) == *options_.end_of_text; };
  if (std::any_of(out.tokens.begin() + static_cast<int64_t>(first), out.tokens.end(), is_end)) {
    ++out.with_end_inside;
  }
  out.tokens.push_back(*options_.end_of_text | (options_.chat ? kNoTarget : 0));
}

// In parts, where it may be cut: what a library needs meanwhile is many times a part's size.
absl::Status DocumentEncoder::EncodeText(absl::string_view text,
                                         std::vector<uint32_t>& tokens) const {
  const Tokenizer& tokenizer = tokenizer_.tokenizer();
  while (text.size() > TextSource::kPieceBytes) {
    const size_t cut = LastCut(text, TextSource::kPieceBytes, tokenizer.cuts());
    if (cut == 0) break;
    RETURN_IF_ERROR(tokenizer.Encode(text.substr(0, cut), tokens));
    text.remove_prefix(cut);
  }
  if (text.size() > TextSource::kDocumentBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("a document of more than ",
                                                   TextSource::kDocumentBytesMax >> 20,
                                                   " MiB that cannot be cut for this tokenizer"));
  }
  return tokenizer.Encode(text, tokens);
}

}  // namespace waferstream
