#include "wafer_node/kernels/gemm_f32.h"

#include <omp.h>

#include <algorithm>

#include "base/status.h"
#include "oneapi/dnnl/dnnl.h"

namespace waferstream {
namespace {

// oneDNN asks OpenMP how many threads it may use and picks the order of a sum by the answer. OpenMP
// keeps that number per thread, so it has to be set on every thread that multiplies.
void PinToOneThread() {
  thread_local const bool pinned = (omp_set_num_threads(1), true);
  static_cast<void>(pinned);
}

// An empty sum, which oneDNN leaves unwritten.
void StartWithNothing(const GemmOptions& options, float* c, int64_t stride) {
  if (options.accumulate) return;
  for (int64_t i = 0; i < options.m; ++i) std::fill_n(c + i * stride, options.n, 0.0f);
}

// oneDNN refuses a row stride below the row's length or below 1, even where no row follows.
int64_t LegalStride(const MatrixIn& x, int64_t rows, int64_t cols) {
  return std::max<int64_t>({x.stride, 1, x.transposed ? rows : cols});
}

}  // namespace

void Sgemm(const GemmOptions& options, const MatrixIn& a, const MatrixIn& b, float* c,
           int64_t stride) {
  if (options.k == 0) return StartWithNothing(options, c, stride);
  PinToOneThread();
  const auto flag = [](const MatrixIn& x) { return x.transposed ? 'T' : 'N'; };
  const dnnl_status_t status = dnnl_sgemm(
      flag(a), flag(b), options.m, options.n, options.k, 1.0f, static_cast<const float*>(a.data),
      LegalStride(a, options.m, options.k), static_cast<const float*>(b.data),
      LegalStride(b, options.k, options.n), options.accumulate ? 1.0f : 0.0f, c, stride);
  WS_CHECK(status == dnnl_success);
}

}  // namespace waferstream
