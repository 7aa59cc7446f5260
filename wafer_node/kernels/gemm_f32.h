// fp32 products on oneDNN's sgemm, held to one thread.
#pragma once

#include "wafer_node/kernels/gemm.h"

namespace waferstream {

// Row-major C [m, n] of `stride` elements a row (+)= op(A) op(B), of fp32 matrices.
void Sgemm(const GemmOptions& options, const MatrixIn& a, const MatrixIn& b, float* c,
           int64_t stride);

}  // namespace waferstream
