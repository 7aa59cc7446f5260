// Rotary positions: pairs of a head's first `dims` elements are turned by an angle that grows with
// the position. In place. Single-threaded; rows are independent.
#pragma once

#include <cstdint>

#include "base/dtype.h"

namespace waferstream {

struct RotaryOptions {
  Dtype dtype = Dtype::kF32;
  int64_t heads = 1;
  int64_t head_stride = 0;  // elements from one head to the next
  int64_t dims = 0;         // of a head that are turned; even
  // Pairs are (i, i + dims / 2), the half-rotation of Hugging Face's Llama; or (2 i, 2 i + 1).
  bool interleaved = false;
  bool inverse = false;  // turn back: the gradient's way
};

// Turns the heads of one token. `cosine` and `sine` have dims / 2 elements each: those of its
// position.
void Rotate(const RotaryOptions& options, const float* cosine, const float* sine, void* row);

}  // namespace waferstream
