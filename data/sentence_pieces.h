// SentencePiece's processor, out of Debian's library.
//
// That library has an old copy of protobuf inside and shows it: linked beside the real one, each
// would call the other's functions. So it is loaded when it is needed, where it sees itself first
// and nobody sees it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace waferstream {

// Immutable after Load, and thread-safe then.
class SentencePieces {
 public:
  SentencePieces();
  ~SentencePieces();

  // `model` is the content of a tokenizer.model. What is wrong with it; empty: nothing.
  std::string Load(std::string_view model);
  int Size() const;
  // -1: there is no such piece.
  int Id(std::string_view piece) const;
  // As Load.
  std::string Encode(std::string_view text, std::vector<int>& ids) const;
  // Ids are below Size().
  std::string Decode(const std::vector<int>& ids, std::string& text) const;

 private:
  struct Processor;
  std::unique_ptr<Processor> processor_;  // null: not loaded
};

}  // namespace waferstream
