#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

#include "wafer_node/kernels/reference.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "wafer_node/kernels/sum_test.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "wafer_node/kernels/sum-inl.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

template <size_t kLanesMost>
float SumBy(const float* x, size_t n) {
  return SumLanes<kLanesMost>(n, [=](auto d, size_t i) HWY_ATTR { return hn::LoadU(d, x + i); });
}

float SumByWidth(size_t lanes, const float* x, size_t n) {
  switch (lanes) {
    case 1:
      return SumBy<1>(x, n);
    case 4:
      return SumBy<4>(x, n);
    case 8:
      return SumBy<8>(x, n);
    default:
      return SumBy<16>(x, n);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {
namespace {

HWY_EXPORT(SumByWidth);

// As sum-inl.h says it.
float InOrder(const std::vector<float>& x) {
  float sums[16] = {};
  for (size_t i = 0; i < x.size(); ++i) sums[i % 16] += x[i];
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) sums[i] += sums[i + half];
  }
  return sums[0];
}

TEST(SumTest, HasOneOrderForVectorsOfAnyWidth) {
  for (const size_t n : {0, 1, 7, 15, 16, 17, 40, 768, 1000}) {
    const std::vector<float> x = reference::Random(Dtype::kF32, n, 1).floats();
    for (const size_t lanes : {1, 4, 8, 16}) {
      EXPECT_EQ(HWY_DYNAMIC_DISPATCH(SumByWidth)(lanes, x.data(), n), InOrder(x))
          << n << " in vectors of at most " << lanes;
    }
  }
}

}  // namespace
}  // namespace waferstream
#endif
