// The SRAM of a wafer node, laid out to the byte.
//
// With N tokens a micro-batch, D hidden, F ffn, H heads, L layers and c bytes a compute element,
// each of the resident_max + verify_slots micro-batches holds
//
//   once        (L+1) N D 4 residuals, N D c final norm, N D 4 delta, N max(D,F) 4 input delta,
//               3 N D c delta of qkv, bf16: 2 N D output delta, and a few bytes a token
//   for every   none       N (6 D c + 2 F c + 4 D + 4 H)
//   layer       selective  N (4 D c + F c + 4 D + 4 H), and once N (2 D c + F c)
//               full       nothing, and once what `none` holds for a layer
//
// Beside them: the receive slots of every plane, the gradient staging slots, the workspace of every
// kernel thread, one block of logits and, in bf16, one tile in packed form for each way it is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/credit.h"

namespace waferstream {

struct Plan;

// What a region holds. Shapes are of one part; c is the compute dtype (Plan::wire).
enum class SramBuffer : uint8_t {
  kTokenIds,       // int32 [N]
  kTargets,        // int32 [N]
  kResidual,       // f32 [N, D]; a set is a layer's input, the last one the final norm's
  kNorm1,          // c [N, D]
  kQkv,            // c [N, 3D]
  kAttentionLse,   // f32 [sequence, H, context]
  kAttentionOut,   // c [N, D]
  kMiddle,         // f32 [N, D]: the residual between attention and MLP
  kNorm2,          // c [N, D]
  kUp,             // c [N, F]; in backward, once used, its gradient
  kGelu,           // c [N, F]
  kFinalNorm,      // c [N, D]
  kRowLoss,        // RowLoss [N]: the online log-sum-exp
  kHeadLse,        // f32 [N]
  kTokenLoss,      // f32 [N]
  kDelta,          // f32 [N, D]: of the residual
  kOutputDelta,    // bf16 [N, D]: a copy of the delta for the products; bf16 only
  kInputDelta,     // f32 [N, max(D, F)]: of a projection's input, summed over its tiles
  kQkvDelta,       // c [N, 3D]
  kNormGradients,  // f32 [2, D]: gain, bias
  kLogits,  // f32 [min(N, kHeadRows), rows of the largest vocabulary tile]; generation: one row
  kProbabilities,  // bf16, the same shape; bf16 training only
  kWorkspace,      // a part for every kernel thread
  kPackedTile,     // the tile as forward's right operand, and as backward's; bf16 only
  kReceiveSmall,   // receive slots of a plane
  kReceiveLarge,
  kStagingSmall,  // gradient staging slots
  kStagingLarge,
};

// One named run of bytes of the arena; `count` equal parts of `bytes` / count. A region for
// activations has sets * (resident_max + verify_slots) parts, set-major: one set for every layer
// that keeps its own, or one that all layers share.
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

// Bytes that the online log-sum-exp keeps of a row.
inline constexpr size_t kRowLossBytes = 12;

// The receive slots of a wafer on each plane, and so the tile window of its channels: what the
// program needs, and some more, into which the next tiles arrive while one is computed. Needs the
// tiles and the program of `plan`.
std::vector<Credit> WaferTileWindows(const Plan& plan);

// The layout for `plan`, of which job, shape, wire, parameters, tiles, slot bytes, leaves,
// resident_max, verify_slots, waves, recompute and program must be set. Its trees and channels are
// not used.
SramLayout LayOutSram(const Plan& plan);

}  // namespace waferstream
