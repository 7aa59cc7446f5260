// RMSNorm: y = x * rstd(x) * gain, in fp32, with rstd = 1 / sqrt(mean(x^2) + epsilon). A row has
// one group or several (a head each), each with its own rstd and the same gain.
//
// Single-threaded; rows are independent, except in the gain's gradient, which is summed in the
// order of rows and groups. Backward recomputes rstd, so nothing is kept from forward.
#pragma once

#include <cstdint>

#include "base/dtype.h"

namespace waferstream {

struct RmsNormOptions {
  int64_t rows = 0;
  int64_t groups = 1;  // of a row
  int64_t width = 0;   // of a group: elements of the gain
  float epsilon = 1e-6f;
  Dtype gain = Dtype::kF32;
};

// A matrix [rows, groups * width].
struct NormIn {
  const void* data;
  Dtype dtype = Dtype::kF32;
};
struct NormOut {
  void* data;
  Dtype dtype = Dtype::kF32;
};

// `residual`, fp32 like the output then, is added to the result; nullptr: nothing is. `out` may be
// the residual.
void RmsNormForward(const RmsNormOptions& options, const NormIn& x, const void* gain,
                    const float* residual, const NormOut& out);

// Sets d_x, or adds to it (fp32 then), given d_out; adds the gain's gradient, row after row and
// group after group, to d_gain [width]. d_x may be d_out, if both have the same dtype and nothing
// is added.
void RmsNormBackward(const RmsNormOptions& options, const NormIn& x, const void* gain,
                     const NormIn& d_out, bool accumulate, const NormOut& d_x, float* d_gain);

}  // namespace waferstream
