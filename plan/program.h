// What a wafer computes in one wave, op by op, and so the order in which weights stream to it and
// gradients leave it. The same program for every wafer and every wave.
//
//   forward    wte tiles, wpe tiles; for each layer: norm 1, c_attn, attention, c_proj, norm 2,
//              c_fc, gelu, mlp.c_proj; final norm, vocabulary tiles, loss. The bias of a
//              projection is streamed before its matrix.
//   backward   vocabulary tiles again, final norm, layers last to first, then the gradients of wpe
//              and wte, for which no weights are streamed
//
// A layer's backward stream begins with its small vectors (norms, biases), which are needed at
// several places of the layer. Its matrices come last to first, or, with full recomputation, first
// to last: the layer's forward runs again as they arrive, and they are kept until the backward op
// that uses them is done ("room for one layer"). Recomputation uses the forward op kinds inside the
// backward program.
#pragma once

#include <cstdint>
#include <vector>

#include "base/credit.h"
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
  kNormBackward,    // gradients: gain, bias
  kMatmulBackward,  // one tile: its gradient, and its part of the input's delta; the last tile of a
                    // matrix makes the gradient of the bias too
  kGeluBackward,
  kAttentionBackward,
  kEmbedPositionsBackward,  // one wpe tile
  kEmbedTokensBackward,     // one wte tile
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
  std::vector<int> needs;      // positions in the pass's stream that must be here; a norm's are
                               // gain, bias (only the gain when nothing is recomputed); a
                               // projection's are bias (forward), `item`
  std::vector<int> releases;   // positions whose receive slot is free once this op is done
  std::vector<int> gradients;  // positions in the gradient stream that it makes, in order
};

struct Program {
  std::vector<Op> forward;  // of a training or a validation wave; ends in the loss
  std::vector<Op> backward;
  std::vector<Op> generate;         // the forward ops, but ends in a token
  std::vector<int> forward_stream;  // tile indices
  std::vector<int> backward_stream;
  // Of a tied wte, contribution 0 is the output projection's and 1 the embedding's.
  std::vector<GradientItem> gradient_stream;
};

// `recompute` is resolved. `parameters` are those of BuildParameters(model), cut into tiles.
Program BuildProgram(const ModelSpec& model, const std::vector<Parameter>& parameters,
                     Recompute recompute);

// The receive slots that a wafer must have on each plane to run the program at all: the most tiles
// that have arrived and are not yet released when an op starts. What a window has beyond it is
// read-ahead.
std::vector<Credit> SlotsNeeded(const Program& program, const std::vector<Tile>& tiles, int planes);

}  // namespace waferstream
