// The header of the token files that we write; tokens follow it to the end of the file.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace waferstream {

// 64 bytes, little-endian, as they are in the file.
struct TokenFileHeader {
  static constexpr std::array<char, 8> kMagic = {'W', 'S', 'T', 'O', 'K', 'E', 'N', 'S'};
  static constexpr uint32_t kVersion = 1;
  static constexpr uint32_t kMasked = 1;  // a flag
  static constexpr uint32_t kNoToken = ~uint32_t{0};

  std::array<char, 8> magic = kMagic;
  uint32_t version = kVersion;
  uint32_t token_bytes = 2;  // 2 or 4
  uint64_t tokens = 0;
  // kMasked: the highest bit of a token says that it is no target: it counts as input, and no loss
  // is taken of it. Ids have one bit less then.
  uint32_t flags = 0;
  uint32_t end_of_text = kNoToken;  // the id that ends a document; kNoToken: none does
  uint32_t vocab = 0;               // of the tokenizer: ids are below it
  uint32_t reserved = 0;
  uint64_t tokenizer[2] = {0, 0};  // XXH3-128 of the tokenizer's file, low half first; 0: bytes
  uint64_t documents = 0;
};
static_assert(sizeof(TokenFileHeader) == 64 && std::endian::native == std::endian::little);

// The highest bit of a token, which marks one that is no target.
constexpr uint32_t MaskBit(uint32_t token_bytes) { return uint32_t{1} << (8 * token_bytes - 1); }

// The header at the beginning of a file, whatever it says; nullopt: there is none.
inline std::optional<TokenFileHeader> HeaderIn(std::span<const std::byte> head) {
  TokenFileHeader header;
  if (head.size() < sizeof(header)) return std::nullopt;
  std::memcpy(static_cast<void*>(&header), head.data(), sizeof(header));
  if (header.magic != TokenFileHeader::kMagic) return std::nullopt;
  return header;
}

}  // namespace waferstream
