#include "wafer_node/kernels/rotary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "wafer_node/kernels/reference.h"

namespace waferstream {
namespace {

using reference::Array;
using reference::Typed;

struct Angles {
  std::vector<float> cosine, sine;
  explicit Angles(int64_t pairs) {
    for (int64_t i = 0; i < pairs; ++i) {
      cosine.push_back(std::cos(0.3f * i + 1));
      sine.push_back(std::sin(0.3f * i + 1));
    }
  }
};

// Pair by pair, in double.
Array Reference(const RotaryOptions& o, const Angles& angles, Array x) {
  const double sign = o.inverse ? -1 : 1;
  for (int64_t h = 0; h < o.heads; ++h) {
    for (int64_t i = 0; i < o.dims / 2; ++i) {
      const int64_t at = h * o.head_stride + (o.interleaved ? 2 * i : i);
      const int64_t other = at + (o.interleaved ? 1 : o.dims / 2);
      const double a = x[at], b = x[other], c = angles.cosine[i], s = sign * angles.sine[i];
      x[at] = a * c - b * s;
      x[other] = b * c + a * s;
    }
  }
  return x;
}

TEST(Rotary, TurnsPairsAndNothingElse) {
  constexpr int64_t kStride = 260;
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    for (const bool interleaved : {false, true}) {
      for (const bool inverse : {false, true}) {
        for (const int64_t dims : {2, 6, 10, 32, 34, 256}) {
          const RotaryOptions o{.dtype = dtype,
                                .heads = 3,
                                .head_stride = kStride,
                                .dims = dims,
                                .interleaved = interleaved,
                                .inverse = inverse};
          const Angles angles(dims / 2);
          Typed x = reference::Random(dtype, 3 * kStride, 1);
          const Array before = x.values();
          Rotate(o, angles.cosine.data(), angles.sine.data(), x.data());
          EXPECT_LE(reference::Distance(x, Reference(o, angles, before)),
                    reference::Tolerance(dtype));
          for (int64_t h = 0; h < 3; ++h) {
            for (int64_t i = h * kStride + dims; i < (h + 1) * kStride; ++i) {
              EXPECT_EQ(x.at(i), before[i]);
            }
          }
        }
      }
    }
  }
}

TEST(Rotary, TheInverseTurnsBack) {
  RotaryOptions o{.heads = 2, .head_stride = 16, .dims = 16};
  const Angles angles(8);
  Typed x = reference::Random(Dtype::kF32, 32, 1);
  const Array before = x.values();
  Rotate(o, angles.cosine.data(), angles.sine.data(), x.data());
  o.inverse = true;
  Rotate(o, angles.cosine.data(), angles.sine.data(), x.data());
  EXPECT_LE(reference::Distance(x, before), 1e-6);
}

}  // namespace
}  // namespace waferstream
