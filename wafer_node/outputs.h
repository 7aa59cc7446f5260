// Which activations an op writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "wafer_node/op_context.h"

namespace waferstream {

// Elements [rows, columns] of `dtype`, with `stride` elements from a row to the next.
struct Output {
  std::byte* data = nullptr;
  Dtype dtype = Dtype::kF32;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t stride = 0;
};

// Of one micro-batch. Gradients of parameters are not among them, nor what a token lookup writes
// (single rows, copied as they are) and where copies of tokens are.
std::vector<Output> OutputsOf(const OpContext& c, int resident);

}  // namespace waferstream
