// Where tests damage memory: called on the lane that has just written a tile and taken its
// checksums, with the version that its bytes now have.
//
// Null in production: nothing that a production binary links sets it. Set it while no role is
// prepared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace waferstream {

using FaultHook = void (*)(int tile, uint64_t version, std::span<std::byte> bytes);

inline constinit FaultHook fault_hook = nullptr;

}  // namespace waferstream
