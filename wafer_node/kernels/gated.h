// A gated activation, elementwise, computed in fp32: silu(gate) * up. Single-threaded.
#pragma once

#include <cstddef>

#include "base/dtype.h"

namespace waferstream {

// out[i] = silu(gate[i]) * up[i], silu(x) = x / (1 + exp(-x)); all of `dtype`. out may be either.
void SiluGatedForward(Dtype dtype, const void* gate, const void* up, void* out, size_t n);

// The gradients of both, of `dtype`, given that of out. d_gate may be gate, and d_up may be up.
void SiluGatedBackward(Dtype dtype, const void* gate, const void* up, const float* d_out,
                       void* d_gate, void* d_up, size_t n);

}  // namespace waferstream
