// Causal softmax attention of one head of one sequence; (sequence, head) is the caller's unit of
// parallel work.
//
// Works through blocks of queries and skips the keys in their future, so that no [tokens, tokens]
// matrix exists: workspace holds one block of queries against all keys. Single-threaded and
// deterministic; safe from several threads, each with its own workspace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/dtype.h"

namespace waferstream {

struct AttentionOptions {
  Dtype dtype = Dtype::kF32;  // of every matrix below; softmax is fp32
  int64_t tokens = 0;
  int64_t head_dim = 0;
  int64_t qkv_stride = 0;  // distance in elements of rows of q, k, v and of their gradients
  int64_t out_stride = 0;  // of out and d_out
};

// One head's rows of the three projections, [tokens, head_dim] each.
struct AttentionInputs {
  const void* q;
  const void* k;
  const void* v;
};

struct AttentionGradients {
  void* q;
  void* k;
  void* v;
};

// out [tokens, head_dim] = softmax(q k^T / sqrt(head_dim), causal) v. lse [tokens] gets each
// query's log-sum-exp of the scaled scores, which backward needs. Workspace:
// AttentionForwardWorkspaceBytes().
void AttentionForward(const AttentionOptions& options, const AttentionInputs& in, void* out,
                      float* lse, std::span<std::byte> workspace);

// Overwrites `gradients` with those of q, k and v, given d_out [tokens, head_dim], that of out; the
// probabilities are recomputed from q, k and lse. `gradients` must not overlap the inputs.
// Workspace: AttentionBackwardWorkspaceBytes().
void AttentionBackward(const AttentionOptions& options, const AttentionInputs& in, const float* lse,
                       const void* d_out, const AttentionGradients& gradients,
                       std::span<std::byte> workspace);

}  // namespace waferstream
