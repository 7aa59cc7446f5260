#include "wafer_node/kernels/gelu.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "wafer_node/kernels/reference.h"

namespace waferstream {
namespace {

using reference::Array;
using reference::Typed;

constexpr size_t kSizes[] = {0, 1, 15, 16, 17, 1000};

class GeluTest : public testing::TestWithParam<GeluBy> {
 protected:
  double Reference(double u) const {
    if (GetParam() == GeluBy::kTanh) return reference::Gelu(u);
    return u * std::erfc(-u / std::sqrt(2)) / 2;
  }
};

INSTANTIATE_TEST_SUITE_P(Formulas, GeluTest, testing::Values(GeluBy::kTanh, GeluBy::kErf));

TEST_P(GeluTest, ForwardMatchesTheReference) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    for (size_t n : kSizes) {
      Typed u = reference::Random(dtype, n, 1, 2), out = reference::Zeros(dtype, n);
      GeluForward(GetParam(), dtype, u.data(), out.data(), n);
      Array want(n);
      for (size_t i = 0; i < n; ++i) want[i] = Reference(u.at(i));
      EXPECT_LE(reference::Distance(out, want), reference::Tolerance(dtype)) << n;
    }
  }
}

TEST_P(GeluTest, BackwardMatchesFiniteDifferences) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    for (size_t n : kSizes) {
      Typed u = reference::Random(dtype, n, 1, 2), d_u = reference::Zeros(dtype, n);
      Typed d_out = reference::Random(Dtype::kF32, n, 2);
      GeluBackward(GetParam(), dtype, u.data(), d_out.wide.data(), d_u.data(), n);
      Array want(n);
      for (size_t i = 0; i < n; ++i) {
        constexpr double kStep = 1e-5;
        want[i] =
            d_out.at(i) * (Reference(u.at(i) + kStep) - Reference(u.at(i) - kStep)) / (2 * kStep);
      }
      EXPECT_LE(reference::Distance(d_u, want), reference::Tolerance(dtype)) << n;
    }
  }
}

TEST_P(GeluTest, ExtremesAndNotANumber) {
  const float u[] = {-1e4f, -100.0f, 0.0f, 100.0f, 1e4f, std::numeric_limits<float>::quiet_NaN()};
  const float one[] = {1, 1, 1, 1, 1, 1};
  float out[6], d_u[6];
  GeluForward(GetParam(), Dtype::kF32, u, out, 6);
  GeluBackward(GetParam(), Dtype::kF32, u, one, d_u, 6);
  const float want[] = {0, 0, 0, 100, 1e4f}, d_want[] = {0, 0, 0.5f, 1, 1};
  for (int i = 0; i < 5; ++i) {
    EXPECT_NEAR(out[i], want[i], 1e-20);
    EXPECT_NEAR(d_u[i], d_want[i], GetParam() == GeluBy::kTanh ? 1e-20 : 1e-7);
  }
  EXPECT_TRUE(std::isnan(out[5]));
  EXPECT_TRUE(std::isnan(d_u[5]));
}

}  // namespace
}  // namespace waferstream
