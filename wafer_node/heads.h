// Attention's units of work: one head of one sequence of one micro-batch.
#pragma once

#include <functional>

#include "wafer_node/kernels/attention.h"
#include "wafer_node/sites.h"

namespace waferstream {

struct HeadUnit {
  int resident;
  int64_t row;     // first of the sequence
  int64_t column;  // first of the head
  float* lse;      // [sequence_tokens]
};

// Runs unit(head, thread) for all of them.
void ForHeads(const OpContext& c, const std::function<void(const HeadUnit&, int thread)>& unit);

AttentionOptions HeadOptions(const OpContext& c);

// The head's rows of q, k and v in an activation [N, 3D].
struct HeadQkv {
  std::byte* q;
  std::byte* k;
  std::byte* v;
};
HeadQkv QkvOf(const OpContext& c, const Activation& qkv, const HeadUnit& unit);

}  // namespace waferstream
