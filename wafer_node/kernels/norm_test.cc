#include "wafer_node/kernels/norm.h"

#include <gtest/gtest.h>

#include <vector>

#include "wafer_node/kernels/reference.h"

namespace waferstream {
namespace {

using reference::Array;
using reference::Typed;

struct Problem {
  int64_t rows, hidden;
  Typed x, gamma, beta, d_out;

  Problem(int64_t r, int64_t h, Dtype parameters)
      : rows(r),
        hidden(h),
        x(reference::Random(Dtype::kF32, r * h, 1, 2, 0.5)),
        gamma(reference::Random(parameters, h, 2, 0.3, 1)),
        beta(reference::Random(parameters, h, 3, 0.3)),
        d_out(reference::Random(Dtype::kF32, r * h, 4)) {}

  LayerNormOptions options() const {
    return {.rows = rows, .hidden = hidden, .parameters = gamma.dtype};
  }
  Array Reference(const Array& from, const Array& g, const Array& b) const {
    return reference::LayerNorm(rows, hidden, 1e-5, from, g, b);
  }
};

struct Gradients {
  std::vector<float> delta, gamma, beta;
  friend bool operator==(const Gradients&, const Gradients&) = default;
};

Gradients Backward(Problem& p, const std::vector<int64_t>& row_counts) {
  Gradients g{std::vector<float>(p.rows * p.hidden, 1.0f), std::vector<float>(p.hidden, 2.0f),
              std::vector<float>(p.hidden, 3.0f)};
  int64_t at = 0;
  for (int64_t rows : row_counts) {
    LayerNormOptions options = p.options();
    options.rows = rows;
    LayerNormBackward(options, p.x.wide.data() + at, p.gamma.data(), p.d_out.wide.data() + at,
                      g.delta.data() + at, g.gamma.data(), g.beta.data());
    at += rows * p.hidden;
  }
  return g;
}

TEST(LayerNormTest, ForwardMatchesTheReference) {
  for (const Dtype parameters : {Dtype::kF32, Dtype::kBf16}) {
    for (const Dtype out_dtype : {Dtype::kF32, Dtype::kBf16}) {
      for (int64_t rows : {0, 1, 3}) {
        for (int64_t hidden : {2, 15, 16, 33, 768}) {
          Problem p(rows, hidden, parameters);
          Typed out = reference::Zeros(out_dtype, rows * hidden);
          LayerNormForward(p.options(), p.x.wide.data(), p.gamma.data(), p.beta.data(), out_dtype,
                           out.data());
          const Array want = p.Reference(p.x.values(), p.gamma.values(), p.beta.values());
          EXPECT_LE(reference::Distance(out, want), reference::Tolerance(out_dtype)) << hidden;
        }
      }
    }
  }
}

TEST(LayerNormTest, BackwardMatchesFiniteDifferences) {
  for (const Dtype parameters : {Dtype::kF32, Dtype::kBf16}) {
    for (int64_t hidden : {2, 15, 40}) {
      Problem p(3, hidden, parameters);
      Gradients g = Backward(p, {3});
      const Array x = p.x.values(), gamma = p.gamma.values(), beta = p.beta.values();
      const Array d_out = p.d_out.values();
      for (float& v : g.delta) v -= 1;
      for (float& v : g.gamma) v -= 2;
      for (float& v : g.beta) v -= 3;
      const auto by_x = [&](const Array& v) { return p.Reference(v, gamma, beta); };
      const auto by_gamma = [&](const Array& v) { return p.Reference(x, v, beta); };
      const auto by_beta = [&](const Array& v) { return p.Reference(x, gamma, v); };
      constexpr double kTolerance = 1e-5;
      // A row of two is normalised to +-1 whatever it holds: its gradient is all rounding.
      if (hidden > 2) {
        EXPECT_LE(reference::Distance(g.delta, reference::Differences(x, d_out, by_x)), kTolerance);
      }
      EXPECT_LE(reference::Distance(g.gamma, reference::Differences(gamma, d_out, by_gamma)),
                kTolerance);
      EXPECT_LE(reference::Distance(g.beta, reference::Differences(beta, d_out, by_beta)),
                kTolerance);
    }
  }
}

TEST(LayerNormTest, BackwardInPartsGivesTheSameBits) {
  Problem p(7, 33, Dtype::kF32);
  const Gradients whole = Backward(p, {7});
  EXPECT_EQ(Backward(p, {7}), whole);
  EXPECT_EQ(Backward(p, {3, 0, 4}), whole);
}

}  // namespace
}  // namespace waferstream
