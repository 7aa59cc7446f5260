// Test only: flips the bit of a tile's DRAM that a FaultSpec names, once in the life of the
// process.
#pragma once

#include "base/fault_spec.h"

namespace waferstream {

// Sets fault_hook: when the tile has reached version spec.step, right after its checksums were
// taken, bit spec.bit of its weights and optimizer state flips. Before any role is prepared.
void ArmBitFlip(const FaultSpec& spec);

}  // namespace waferstream
