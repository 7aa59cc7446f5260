// Causal softmax attention of one sequence: forward of one head, backward of the heads that share a
// key and value. (sequence, head) is the caller's unit of parallel work.
//
// Works through blocks of queries and skips the keys that they do not see, so that no [tokens,
// tokens] matrix exists: workspace holds one block of queries against all keys. Single-threaded and
// deterministic; safe from several threads, each with its own workspace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "plan/kernel_workspace.h"

namespace waferstream {

struct AttentionOptions {
  ProductKind products = {};  // its dtype is of every matrix below; softmax is fp32
  int64_t tokens = 0;
  int64_t head_dim = 0;
  // Distances in elements of the rows of q, of k and v, and of out; of their gradients too.
  int64_t q_stride = 0;
  int64_t kv_stride = 0;
  int64_t out_stride = 0;
  // A query sees so many keys, its own the last of them; 0: all up to its own.
  int64_t window = 0;
  // Backward: query heads that share k and v, and their distances in elements within a row.
  int64_t group = 1;
  int64_t q_head_stride = 0;
  int64_t out_head_stride = 0;
};

// Rows of the three projections, [tokens, head_dim] each; of q, those of the group's first head.
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

// Overwrites `gradients` with those of q, k and v, given d_out [tokens, head_dim], that of out; k's
// and v's are summed over the group's heads, in order. lse is [group, tokens]. The probabilities
// are recomputed from q, k and lse. `gradients` must not overlap the inputs. Workspace:
// AttentionBackwardWorkspaceBytes().
void AttentionBackward(const AttentionOptions& options, const AttentionInputs& in, const float* lse,
                       const void* d_out, const AttentionGradients& gradients,
                       std::span<std::byte> workspace);

}  // namespace waferstream
