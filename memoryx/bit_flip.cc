#include "memoryx/bit_flip.h"

#include <atomic>
#include <optional>

#include "memoryx/fault_hook.h"

namespace waferstream {
namespace {

std::optional<FaultSpec> armed;
std::atomic<bool> flipped{false};  // lanes and Prepare's threads may come at once

void FlipIfDue(int tile, uint64_t version, std::span<std::byte> bytes) {
  if (tile != armed->tile || version != armed->step || flipped.exchange(true)) return;
  const uint64_t bit = armed->bit % (bytes.size() * 8);
  bytes[bit / 8] ^= std::byte{1} << (bit % 8);
}

}  // namespace

void ArmBitFlip(const FaultSpec& spec) {
  armed = spec;
  fault_hook = &FlipIfDue;
}

}  // namespace waferstream
