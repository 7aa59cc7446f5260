#include "wafer_node/kernels/reduce.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "wafer_node/kernels/reduce.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "base/simd-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

void SumColumns(Dtype dtype, const void* x, int64_t rows, int64_t cols, int64_t stride,
                float* sum) {
  WithElement(dtype, [=](auto element) HWY_ATTR {
    const auto* row = static_cast<const decltype(element)*>(x);
    for (int64_t i = 0; i < rows; ++i, row += stride) {
      ForLanes(cols, [=](auto d, size_t j) HWY_ATTR {
        hn::StoreU(hn::Add(hn::LoadU(d, sum + j), LoadFloats(d, row + j)), d, sum + j);
      });
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {

HWY_EXPORT(SumColumns);

void ColumnSum(Dtype dtype, const void* x, int64_t rows, int64_t cols, int64_t stride, float* sum) {
  HWY_DYNAMIC_DISPATCH(SumColumns)(dtype, x, rows, cols, stride, sum);
}

}  // namespace waferstream
#endif
