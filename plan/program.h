// What a wafer computes in one wave, op by op, and so the order in which weights stream to it and
// gradients leave it. The same program for every wafer and every wave.
//
// A backward stream sends a layer's small vectors (norms, biases) first: they are needed at several
// places of the layer. Its matrices come last to first, or, with full recomputation, first to last,
// and are then kept until the layer is done ("room for one layer").
#pragma once

#include <cstdint>
#include <vector>

#include "plan/model.h"
#include "proto/job.pb.h"

namespace waferstream {

enum class OpKind : uint8_t {
  kEmbedTokens,     // one wte tile: the rows of the residual whose token it holds
  kEmbedPositions,  // one wpe tile: added to the residual
  kNorm,            // LayerNorm of the residual into the matmul input
  kMatmul,          // one tile's columns of a projection, bias and (c_proj) residual included
  kGelu,
  kAttention,
  kLogits,          // one vocabulary tile: online log-sum-exp and target logit
  kLoss,            // after the last vocabulary tile: the loss of every micro-batch
  kPickToken,       // generation only, after the last vocabulary tile
  kLogitsBackward,  // one vocabulary tile: logits again, gradient, delta
  kNormBackward,
  kMatmulBackward,  // one tile: its gradient, and its part of the input's delta
  kGeluBackward,
  kAttentionBackward,
  kEmbedPositionsBackward,
  kEmbedTokensBackward,
};

// Which of a layer's places the op works at.
enum class Site : uint8_t {
  kNone,
  kNorm1,
  kQkv,
  kAttentionOut,
  kNorm2,
  kUp,
  kDown,
  kFinalNorm,
  kHead
};

struct Op {
  OpKind kind = OpKind::kNorm;
  Site site = Site::kNone;
  int layer = -1;              // -1: embedding or head
  int item = -1;               // position in the pass's stream of the tile it works on; -1: none
  std::vector<int> needs;      // positions in the pass's stream that must be here, `item` included
  std::vector<int> releases;   // positions whose receive slot is free once this op is done
  std::vector<int> gradients;  // positions in the gradient stream that it makes, in order
};

struct Program {
  std::vector<Op> forward;  // of a training wave
  std::vector<Op> backward;
  std::vector<Op> validation;       // forward only, ends in the loss; same stream as forward
  std::vector<Op> generate;         // forward only, ends in a token; same stream as forward
  std::vector<int> forward_stream;  // tile indices
  std::vector<int> backward_stream;
  std::vector<GradientItem> gradient_stream;
};

// `recompute` is resolved.
Program BuildProgram(const ModelSpec& model, const std::vector<Parameter>& parameters,
                     const std::vector<Tile>& tiles, Recompute recompute);

}  // namespace waferstream
