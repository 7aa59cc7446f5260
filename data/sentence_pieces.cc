#include "data/sentence_pieces.h"

#include <sentencepiece_processor.h>

namespace waferstream {

struct SentencePieces::Impl {
  sentencepiece::SentencePieceProcessor processor;
};

SentencePieces::SentencePieces() : impl_(std::make_unique<Impl>()) {}
SentencePieces::~SentencePieces() = default;

std::string SentencePieces::Load(std::string_view model) {
  const auto status = impl_->processor.LoadFromSerializedProto({model.data(), model.size()});
  return status.ok() ? "" : status.ToString();
}

int SentencePieces::Size() const { return impl_->processor.GetPieceSize(); }

int SentencePieces::Id(std::string_view piece) const {
  const int id = impl_->processor.PieceToId({piece.data(), piece.size()});
  // Every other piece is the unknown one.
  return impl_->processor.IdToPiece(id) == piece ? id : -1;
}

std::string SentencePieces::Encode(std::string_view text, std::vector<int>& ids) const {
  const auto status = impl_->processor.Encode({text.data(), text.size()}, &ids);
  return status.ok() ? "" : status.ToString();
}

std::string SentencePieces::Decode(const std::vector<int>& ids, std::string& text) const {
  const auto status = impl_->processor.Decode(ids, &text);
  return status.ok() ? "" : status.ToString();
}

}  // namespace waferstream
