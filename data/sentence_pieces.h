// SentencePiece's processor behind types of the standard library only: its header has an Abseil of
// its own, which no file can include beside ours.
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
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace waferstream
