#include "wafer_node/kernels/gated.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "wafer_node/kernels/reference.h"

namespace waferstream {
namespace {

using reference::Array;
using reference::Typed;

Array Reference(const Array& gate, const Array& up) {
  Array out(gate.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
  return out;
}

TEST(SiluGated, ForwardMatchesTheReference) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    for (const size_t n : {0, 1, 15, 33, 1000}) {
      Typed gate = reference::Random(dtype, n, 1, 3), up = reference::Random(dtype, n, 2);
      Typed out = reference::Zeros(dtype, n);
      SiluGatedForward(dtype, gate.data(), up.data(), out.data(), n);
      EXPECT_LE(reference::Distance(out, Reference(gate.values(), up.values())),
                reference::Tolerance(dtype));
    }
  }
}

TEST(SiluGated, BackwardMatchesFiniteDifferencesAlsoInPlace) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    constexpr size_t kCount = 100;
    Typed gate = reference::Random(dtype, kCount, 1, 3), up = reference::Random(dtype, kCount, 2);
    const std::vector<float> d_out = reference::Random(Dtype::kF32, kCount, 3).wide;
    const Array g = gate.values(), u = up.values(), weights(d_out.begin(), d_out.end());
    const Array want_gate =
        reference::Differences(g, weights, [&](const Array& v) { return Reference(v, u); });
    const Array want_up =
        reference::Differences(u, weights, [&](const Array& v) { return Reference(g, v); });
    SiluGatedBackward(dtype, gate.data(), up.data(), d_out.data(), gate.data(), up.data(), kCount);
    const double tolerance = dtype == Dtype::kF32 ? 1e-5 : 6e-3;
    EXPECT_LE(reference::Distance(gate, want_gate), tolerance);
    EXPECT_LE(reference::Distance(up, want_up), tolerance);
  }
}

}  // namespace
}  // namespace waferstream
