// The SRAM of a wafer node, laid out to the byte.
//
// Each of the resident_max + verify_slots micro-batches has its token ids, its targets, and one
// part of the activations, in which every value of the program has its place while it lives
// (value_places.h). Beside them: the receive slots of every plane, the gradient staging slots, the
// workspace of every kernel thread, one tile in packed form for each way it is used, and the
// logits: of every micro-batch where the policy keeps them, else one block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/credit.h"

namespace waferstream {

struct Plan;

// What a region holds. Shapes are of one part, N the tokens of a micro-batch.
enum class SramBuffer : uint8_t {
  kTokenIds,     // int32 [N]
  kTargets,      // int32 [N]
  kActivations,  // what lives of Program::values
  // f32 [min(N, kHeadRows), rows of the largest vocabulary tile]; generation: one row. Kept: of
  // every resident micro-batch, tile after tile [N, rows of the tile].
  kLogits,
  kProbabilities,  // bf16 [min(N, kHeadRows), rows of the largest vocabulary tile]; training only
  kWorkspace,      // a part for every kernel thread
  kPackedTile,     // the tile as forward's right operand, and as backward's
  kReceiveSmall,   // receive slots of a plane
  kReceiveLarge,
  kStagingSmall,  // gradient staging slots
  kStagingLarge,
};

// One named run of bytes of the arena; `count` equal parts of `bytes` / count: of a micro-batch, a
// thread, a slot.
struct SramRegion {
  SramBuffer buffer = SramBuffer::kTokenIds;
  int plane = 0;  // of receive slots
  std::string name;
  size_t offset = 0;
  size_t bytes = 0;
  size_t count = 1;
};

struct SramLayout {
  std::vector<SramRegion> regions;
  size_t bytes = 0;  // end of the last region: the planned peak

  // nullptr: this job has none.
  const SramRegion* Find(SramBuffer buffer, int plane = 0) const;
};

// The receive slots of a wafer on each plane, and so the tile window of its channels: what the
// program needs, and some more, into which the next tiles arrive while one is computed. Needs the
// tiles and the program of `plan`.
std::vector<Credit> WaferTileWindows(const Plan& plan);

// The layout for `plan`, of which job, shape, wire, parameters, tiles, slot bytes, leaves,
// resident_max, verify_slots, waves, program and places must be set. Its trees and channels are not
// used.
SramLayout LayOutSram(const Plan& plan);

// The least SRAM with which `plan` is what it is, but that no logits are kept.
size_t SramNeeded(Plan plan);

}  // namespace waferstream
