// What each op of the program computes, by kernels, in units of fixed size. Results do not depend
// on the number of threads: no unit shares a sum with another one.
//
// Each function runs one op for all resident micro-batches and returns when it is done.
#pragma once

#include "wafer_node/op_context.h"

namespace waferstream {

// Any op, by its kind; the watchers see what it reads and writes.
void RunOp(const OpContext& c);

// ops_forward.cc
void RunEmbedTokens(const OpContext& c);
void RunEmbedPositions(const OpContext& c);
void RunNorm(const OpContext& c);
void RunMatmul(const OpContext& c);
void RunAttention(const OpContext& c);
void RunGelu(const OpContext& c);

// ops_head.cc
void RunLogits(const OpContext& c);
void RunLoss(const OpContext& c);
void RunLogitsBackward(const OpContext& c);
void RunLastLogits(const OpContext& c);  // kLogits of a generation: of the last position only
void RunPickToken(const OpContext& c);

// ops_backward.cc
void RunNormBackward(const OpContext& c);
void RunMatmulBackward(const OpContext& c);
void RunGeluBackward(const OpContext& c);
void RunAttentionBackward(const OpContext& c);
void RunEmbedPositionsBackward(const OpContext& c);
void RunEmbedTokensBackward(const OpContext& c);

}  // namespace waferstream
