#include "memoryx/bit_flip.h"

#include "base/mark.h"

namespace waferstream {

void BitFlip::OnWritten(int tile, uint64_t version, std::span<std::byte> bytes) {
  if (tile != spec_.tile || version != spec_.step || flipped_.exchange(true)) return;
  WS_MARK("memoryx: flipped a bit");
  const uint64_t bit = spec_.bit % (bytes.size() * 8);
  bytes[bit / 8] ^= std::byte{1} << (bit % 8);
}

}  // namespace waferstream
