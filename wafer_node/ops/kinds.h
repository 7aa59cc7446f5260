// The kinds of operations, a file each: what forward and backward of one compute, by kernels, in
// units of fixed size. Results do not depend on the number of threads: no unit shares a sum with
// another one.
//
// Each function runs one op for all resident micro-batches and returns when it is done. What an
// operation's values are: plan/graph.h for forward, plan/backward.cc for backward.
#pragma once

#include "wafer_node/op_context.h"

namespace waferstream {

void EmbedTokensOp(const OpContext& c);
void EmbedTokensBackwardOp(const OpContext& c);
void EmbedPositionsOp(const OpContext& c);
void EmbedPositionsBackwardOp(const OpContext& c);
void LayerNormOp(const OpContext& c);
void LayerNormBackwardOp(const OpContext& c);
void RmsNormOp(const OpContext& c);
void RmsNormBackwardOp(const OpContext& c);
void MatmulOp(const OpContext& c);
void MatmulBackwardOp(const OpContext& c);
void GeluOp(const OpContext& c);
void GeluBackwardOp(const OpContext& c);
void SiluGatedOp(const OpContext& c);
void SiluGatedBackwardOp(const OpContext& c);
void RotaryOp(const OpContext& c);
void RotaryBackwardOp(const OpContext& c);
void AttentionOp(const OpContext& c);
void AttentionBackwardOp(const OpContext& c);
void RouteOp(const OpContext& c);
void RouteBackwardOp(const OpContext& c);
void DispatchOp(const OpContext& c);
void DispatchBackwardOp(const OpContext& c);
void ExpertMatmulOp(const OpContext& c);
void ExpertMatmulBackwardOp(const OpContext& c);
void CombineOp(const OpContext& c);
void CombineBackwardOp(const OpContext& c);
void LogitsOp(const OpContext& c);  // of a generation: of the last position only
void LogitsBackwardOp(const OpContext& c);
void LossOp(const OpContext& c);
void PickTokenOp(const OpContext& c);
void ScaleOp(const OpContext& c);
void ScaleBackwardOp(const OpContext& c);
void ConvertOp(const OpContext& c);
void AddOp(const OpContext& c);

}  // namespace waferstream
