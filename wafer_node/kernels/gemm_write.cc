#include "wafer_node/kernels/gemm_write.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "wafer_node/kernels/gemm_write.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "base/simd-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

template <class Bias, class Out>
HWY_INLINE void WriteRow(const float* sums, const Bias* bias, bool accumulate, int64_t n,
                         Out* out) {
  ForLanes(n, [=](auto d, size_t j) HWY_ATTR {
    auto v = LoadFloats(d, sums + j);
    if (bias != nullptr) v = hn::Add(v, LoadFloats(d, bias + j));
    if (accumulate) v = hn::Add(v, LoadFloats(d, out + j));
    StoreFloats(d, v, out + j);
  });
}

template <class Bias, class Out>
HWY_INLINE void WriteRows(const GemmOptions& options, const GemmBlock& block, const float* sums,
                          int64_t stride, const MatrixOut& c) {
  const Bias* bias = static_cast<const Bias*>(options.bias);
  if (bias != nullptr) bias += block.column;
  Out* out = static_cast<Out*>(c.data) + block.row * c.stride + block.column;
  for (int64_t i = 0; i < block.rows; ++i) {
    WriteRow(sums + i * stride, bias, options.accumulate, block.columns, out + i * c.stride);
  }
}

void WriteBlock(const GemmOptions& options, const GemmBlock& block, const float* sums,
                int64_t stride, const MatrixOut& c) {
  const bool bf16_bias = options.bias_dtype == Dtype::kBf16;
  if (c.dtype == Dtype::kBf16) {
    bf16_bias ? WriteRows<Bf16, Bf16>(options, block, sums, stride, c)
              : WriteRows<float, Bf16>(options, block, sums, stride, c);
  } else {
    bf16_bias ? WriteRows<Bf16, float>(options, block, sums, stride, c)
              : WriteRows<float, float>(options, block, sums, stride, c);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {

HWY_EXPORT(WriteBlock);

void WriteGemmBlock(const GemmOptions& options, const GemmBlock& block, const float* sums,
                    int64_t stride, const MatrixOut& c) {
  HWY_DYNAMIC_DISPATCH(WriteBlock)(options, block, sums, stride, c);
}

}  // namespace waferstream
#endif
