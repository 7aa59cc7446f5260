#include "wafer_node/kernels/rms_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "wafer_node/kernels/reference.h"

namespace waferstream {
namespace {

using reference::Array;
using reference::Typed;

// As written on paper, in double.
Array Reference(const RmsNormOptions& o, const Array& x, const Array& gain) {
  Array y(x.size());
  for (int64_t g = 0; g < o.rows * o.groups; ++g) {
    double square = 0;
    for (int64_t i = 0; i < o.width; ++i) square += std::pow(x[g * o.width + i], 2) / o.width;
    for (int64_t i = 0; i < o.width; ++i) {
      y[g * o.width + i] = x[g * o.width + i] / std::sqrt(square + 1e-6) * gain[i];
    }
  }
  return y;
}

struct Problem {
  RmsNormOptions options;
  Typed x, gain, d_out;

  Problem(int64_t rows, int64_t groups, int64_t width, Dtype in, Dtype of_out)
      : options{.rows = rows, .groups = groups, .width = width, .gain = in},
        x(reference::Random(in, rows * groups * width, 1, 2, 0.5)),
        gain(reference::Random(in, width, 2, 0.3, 1)),
        d_out(reference::Random(of_out, rows * groups * width, 3)) {}
};

constexpr Dtype kBoth[] = {Dtype::kF32, Dtype::kBf16};

TEST(RmsNorm, ForwardMatchesTheReference) {
  for (const Dtype in : kBoth) {
    for (const Dtype out : kBoth) {
      for (const auto& [rows, groups] :
           std::vector<std::pair<int64_t, int64_t>>{{0, 1}, {1, 1}, {3, 1}, {3, 4}}) {
        for (const int64_t width : {2, 15, 16, 33, 768}) {
          Problem p(rows, groups, width, in, out);
          Typed y = reference::Zeros(out, p.x.size());
          RmsNormForward(p.options, {p.x.data(), in}, p.gain.data(), nullptr, {y.data(), out});
          EXPECT_LE(reference::Distance(y, Reference(p.options, p.x.values(), p.gain.values())),
                    reference::Tolerance(out));
        }
      }
    }
  }
}

TEST(RmsNorm, AddsTheResidualAlsoInItsPlace) {
  Problem p(3, 1, 33, Dtype::kBf16, Dtype::kF32);
  const std::vector<float> residual = reference::Random(Dtype::kF32, p.x.size(), 9).wide;
  std::vector<float> apart(p.x.size()), in_place = residual;
  RmsNormForward(p.options, {p.x.data(), Dtype::kBf16}, p.gain.data(), residual.data(),
                 {apart.data()});
  RmsNormForward(p.options, {p.x.data(), Dtype::kBf16}, p.gain.data(), in_place.data(),
                 {in_place.data()});
  EXPECT_EQ(apart, in_place);
  Array want = Reference(p.options, p.x.values(), p.gain.values());
  for (size_t i = 0; i < want.size(); ++i) want[i] += residual[i];
  EXPECT_LE(reference::Distance(apart, want), 1e-6);
}

TEST(RmsNorm, BackwardMatchesFiniteDifferences) {
  for (const Dtype in : kBoth) {
    for (const Dtype of_out : kBoth) {
      for (const int64_t width : {2, 15, 40}) {
        Problem p(2, 3, width, in, of_out);
        std::vector<float> d_x(p.x.size(), 1.0f), d_gain(width, 2.0f);
        RmsNormBackward(p.options, {p.x.data(), in}, p.gain.data(), {p.d_out.data(), of_out},
                        /*accumulate=*/true, {d_x.data()}, d_gain.data());
        for (float& v : d_x) v -= 1;
        for (float& v : d_gain) v -= 2;
        const Array x = p.x.values(), gain = p.gain.values(), d_out = p.d_out.values();
        const auto by_x = [&](const Array& v) { return Reference(p.options, v, gain); };
        const auto by_gain = [&](const Array& v) { return Reference(p.options, x, v); };
        EXPECT_LE(reference::Distance(d_x, reference::Differences(x, d_out, by_x)), 1e-5);
        EXPECT_LE(reference::Distance(d_gain, reference::Differences(gain, d_out, by_gain)), 1e-5);
      }
    }
  }
}

TEST(RmsNorm, BackwardSetsInAnyDtypeAndInPlace) {
  Problem p(2, 3, 33, Dtype::kBf16, Dtype::kBf16);
  Typed d_x = reference::Zeros(Dtype::kBf16, p.x.size());
  std::vector<float> wide(p.x.size(), 7.0f), d_gain(33), again(33), third(33);
  RmsNormBackward(p.options, {p.x.data(), Dtype::kBf16}, p.gain.data(),
                  {p.d_out.data(), Dtype::kBf16}, false, {wide.data()}, d_gain.data());
  RmsNormBackward(p.options, {p.x.data(), Dtype::kBf16}, p.gain.data(),
                  {p.d_out.data(), Dtype::kBf16}, false, {d_x.data(), Dtype::kBf16}, again.data());
  for (size_t i = 0; i < wide.size(); ++i) EXPECT_EQ(d_x.narrow[i].bits, ToBf16(wide[i]).bits);
  EXPECT_EQ(d_gain, again);
  RmsNormBackward(p.options, {p.x.data(), Dtype::kBf16}, p.gain.data(),
                  {p.d_out.data(), Dtype::kBf16}, false, {p.d_out.data(), Dtype::kBf16},
                  third.data());
  EXPECT_EQ(p.d_out.values(), d_x.values());
  EXPECT_EQ(third, again);
}

}  // namespace
}  // namespace waferstream
