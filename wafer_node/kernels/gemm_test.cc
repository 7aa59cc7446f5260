#include "wafer_node/kernels/gemm.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "hwy/targets.h"
#include "plan/kernel_workspace.h"
#include "wafer_node/kernels/gemm_amx.h"
#include "wafer_node/kernels/gemm_panels.h"
#include "wafer_node/kernels/reference.h"

namespace waferstream {
namespace {

using reference::Array;
using reference::Distance;
using reference::Typed;

class Workspace {
 public:
  Workspace(const GemmOptions& o)
      : bytes_(GemmWorkspaceBytes(o.dtype, o.n, o.k)),
        space_(std::aligned_alloc(kWorkspaceAlignment, RoundUp(bytes_ + 1, kWorkspaceAlignment))) {
    // Whatever a kernel fails to write itself becomes a NaN.
    std::memset(space_, 0xff, bytes_);
  }
  ~Workspace() { std::free(space_); }
  std::span<std::byte> span() { return {static_cast<std::byte*>(space_), bytes_}; }

 private:
  size_t bytes_;
  void* space_;
};

// `dense` [rows, cols] inside a wider matrix whose other elements are NaN. Either may be empty,
// which memset and memcpy do not allow.
Typed Widen(const Typed& dense, int64_t rows, int64_t cols, int64_t stride) {
  Typed wide = reference::Zeros(dense.dtype, rows * stride);
  const size_t element = BytesOf(dense.dtype);
  auto* to = static_cast<unsigned char*>(wide.data());
  const auto* from = static_cast<const unsigned char*>(const_cast<Typed&>(dense).data());
  std::fill_n(to, wide.size() * element, 0xff);
  for (int64_t i = 0; i < rows; ++i) {
    std::copy_n(from + i * cols * element, cols * element, to + i * stride * element);
  }
  return wide;
}

using Implementation = std::function<void(const GemmOptions&, const MatrixIn&, const MatrixIn&,
                                          const MatrixOut&, std::span<std::byte>)>;

// A way to multiply bf16 by panels; with `packed`, the right operand whole and beforehand, in
// parts.
Implementation Panels(PanelEntry entry, bool packed) {
  return [=](const GemmOptions& o, const MatrixIn& a, const MatrixIn& b, const MatrixOut& c,
             std::span<std::byte> workspace) {
    if (!packed || o.m == 0 || o.n == 0) return GemmBf16Panels(entry, o, a, b, c, workspace);
    const size_t bytes = RoundUp(GemmPackedBytes(o.n, o.k) + 1, kWorkspaceAlignment);
    const std::unique_ptr<std::byte, decltype(&std::free)> space(
        static_cast<std::byte*>(std::aligned_alloc(kWorkspaceAlignment, bytes)), std::free);
    std::memset(space.get(), 0xff, bytes);
    const int64_t part = 2 * kGemmPanelColumnsMax;
    for (int64_t first = (o.n - 1) / part * part; first >= 0; first -= part) {
      PackPanels(entry, b, o.k, first, std::min(part, o.n - first), {space.get(), bytes});
    }
    MatrixIn right = b;
    right.packed = space.get();
    GemmBf16Panels(entry, o, a, right, c, workspace);
  };
}

// Every way to multiply bf16 that this machine has, by name. What it lacks is said, not passed
// over.
std::map<std::string, Implementation> Bf16Ways() {
  std::map<std::string, Implementation> ways;
  const auto add = [&](const std::string& name, PanelEntry entry) {
    ways[name] = Panels(entry, false);
    ways[name + ", packed before"] = Panels(entry, true);
  };
  add("floats", PanelEntry::kFloat);
  add("pairs, twin", PanelEntry::kPairTwin);
  if (HasPairProducts()) {
    add("pairs", PanelEntry::kPair);
  } else {
    std::printf("SKIPPED: vdpbf16ps, which this machine lacks or was forbidden\n");
  }
  if (HasAmx()) {
    ways["AMX"] = GemmBf16Amx;
  } else {
    std::printf("SKIPPED: AMX, which this machine lacks or was forbidden\n");
  }
  return ways;
}

struct Case {
  int64_t m, n, k;
  bool a_transposed, b_transposed, accumulate;
  Dtype dtype, out, bias;
  bool has_bias;
};

void Check(const Case& t, const Implementation& implementation) {
  constexpr int64_t kPad = 5;
  const Typed a = reference::Random(t.dtype, t.m * t.k, 1),
              b = reference::Random(t.dtype, t.k * t.n, 2);
  Typed bias = reference::Random(t.bias, t.n, 3);
  const Typed before = reference::Random(t.out, t.m * t.n, 4);
  const int64_t a_rows = t.a_transposed ? t.k : t.m, a_cols = t.a_transposed ? t.m : t.k;
  const int64_t b_rows = t.b_transposed ? t.n : t.k, b_cols = t.b_transposed ? t.k : t.n;
  Typed a_wide = Widen(a, a_rows, a_cols, a_cols + kPad);
  Typed b_wide = Widen(b, b_rows, b_cols, b_cols + kPad);
  Typed c = Widen(before, t.m, t.n, t.n + kPad);
  GemmOptions options{.dtype = t.dtype, .m = t.m, .n = t.n, .k = t.k, .accumulate = t.accumulate};
  if (t.has_bias) options.bias = bias.data(), options.bias_dtype = t.bias;
  Workspace workspace(options);
  implementation(options, {a_wide.data(), a_cols + kPad, t.a_transposed},
                 {b_wide.data(), b_cols + kPad, t.b_transposed}, {c.data(), t.n + kPad, t.out},
                 workspace.span());

  Array want =
      reference::Product(t.m, t.n, t.k, a.values(), t.a_transposed, b.values(), t.b_transposed);
  Array got(t.m * t.n);
  for (int64_t i = 0; i < t.m; ++i) {
    for (int64_t j = 0; j < t.n + kPad; ++j) {
      const double value = c.at(i * (t.n + kPad) + j);
      if (j >= t.n) {
        EXPECT_TRUE(std::isnan(value)) << "wrote beside C";
        continue;
      }
      got[i * t.n + j] = value;
      if (t.accumulate) want[i * t.n + j] += before.at(i * t.n + j);
      if (t.has_bias) want[i * t.n + j] += bias.at(j);
    }
  }
  EXPECT_LE(Distance(got, want), reference::Tolerance(t.out))
      << "m " << t.m << " n " << t.n << " k " << t.k << " transposed " << t.a_transposed
      << t.b_transposed << " accumulate " << t.accumulate << " dtype " << int(t.dtype);
}

const std::vector<std::tuple<int64_t, int64_t, int64_t>> kShapes = {
    {1, 1, 1},    {0, 3, 4},    {3, 0, 4},     {3, 4, 0},    {1, 509, 15},  {7, 3, 33},
    {31, 33, 32}, {33, 31, 65}, {129, 40, 15}, {64, 64, 64}, {40, 97, 130}, {15, 200, 700},
};

void CheckShapes(Dtype dtype, Dtype out, const Implementation& implementation) {
  for (const auto& [m, n, k] : kShapes) {
    for (int flags = 0; flags < 16; ++flags) {
      const bool accumulate = (flags & 4) && out == Dtype::kF32;
      const Dtype bias = flags & 2 ? Dtype::kBf16 : Dtype::kF32;
      Check({m, n, k, bool(flags & 1), bool(flags & 2), accumulate, dtype, out, bias,
             bool(flags & 8)},
            implementation);
    }
  }
}

TEST(GemmTest, F32MatchesTheReference) { CheckShapes(Dtype::kF32, Dtype::kF32, Gemm); }
TEST(GemmTest, Bf16MatchesTheReference) { CheckShapes(Dtype::kBf16, Dtype::kF32, Gemm); }
TEST(GemmTest, Bf16ToBf16MatchesTheReference) { CheckShapes(Dtype::kBf16, Dtype::kBf16, Gemm); }
TEST(GemmTest, EveryBf16WayMatchesTheReference) {
  for (const auto& [name, way] : Bf16Ways()) {
    SCOPED_TRACE(name);
    CheckShapes(Dtype::kBf16, Dtype::kF32, way);
    CheckShapes(Dtype::kBf16, Dtype::kBf16, way);
  }
}

// Several blocks in every dimension.
void CheckLarge(Dtype dtype, const Implementation& way) {
  for (int flags = 0; flags < 4; ++flags) {
    const bool a_transposed = flags & 1, b_transposed = flags & 2;
    Check(
        {300, 1100, 70, a_transposed, b_transposed, false, dtype, Dtype::kF32, Dtype::kF32, false},
        way);
    Check({140, 150, 1500, a_transposed, b_transposed, true, dtype, Dtype::kF32, Dtype::kF32, true},
          way);
  }
}

TEST(GemmTest, LargeMatchesTheReference) {
  CheckLarge(Dtype::kF32, Gemm);
  for (const auto& [name, way] : Bf16Ways()) {
    SCOPED_TRACE(name);
    CheckLarge(Dtype::kBf16, way);
  }
}

std::vector<float> Multiplied(const Implementation& way, int64_t m, int64_t n, int64_t k,
                              int64_t first_row, int64_t rows) {
  Typed a = reference::Random(Dtype::kBf16, m * k, 1),
        b = reference::Random(Dtype::kBf16, k * n, 2);
  std::vector<float> c(rows * n);
  const GemmOptions options{.dtype = Dtype::kBf16, .m = rows, .n = n, .k = k};
  Workspace workspace(options);
  way(options, {a.narrow.data() + first_row * k, k}, {b.data(), k, true}, {c.data(), n},
      workspace.span());
  return c;
}

// As the head uses a tile: columns of it, from one packing of the whole.
TEST(GemmTest, PartOfAPackedOperand) {
  constexpr int64_t kM = 9, kN = 200, kK = 77, kFirst = 3 * kGemmPanelColumnsMax;
  if (!PacksRight(Dtype::kBf16)) {
    std::printf("SKIPPED: this machine's products take right operands as they are\n");
    return;
  }
  Typed a = reference::Random(Dtype::kBf16, kM * kK, 1),
        b = reference::Random(Dtype::kBf16, kN * kK, 2);
  alignas(kWorkspaceAlignment) static std::byte packed[GemmPackedBytes(kN, kK)];
  PackRight({b.data(), kK, true}, kK, 0, kN, packed);
  const GemmOptions options{.dtype = Dtype::kBf16, .m = kM, .n = kN - kFirst, .k = kK};
  Workspace workspace(options);
  std::vector<float> plain(kM * options.n), from_packed(plain);
  MatrixIn part = {b.narrow.data() + kFirst * kK, kK, true};
  Gemm(options, {a.data(), kK}, part, {plain.data(), options.n}, workspace.span());
  part.packed = PackedColumns(packed, kK, kFirst);
  Gemm(options, {a.data(), kK}, part, {from_packed.data(), options.n}, workspace.span());
  EXPECT_EQ(plain, from_packed);
}

// One chain a sum, in the order of k: so says gemm_panels.h, and so no block's size can be seen.
TEST(GemmTest, PanelsSumInOrder) {
  constexpr int64_t kM = 7, kN = 37, kK = 1201;
  const std::vector<float> a = reference::Random(Dtype::kBf16, kM * kK, 1).floats(),
                           b = reference::Random(Dtype::kBf16, kK * kN, 2).floats();
  std::vector<float> chain(kM * kN), pairs(kM * kN);
  for (int64_t i = 0; i < kM; ++i) {
    for (int64_t j = 0; j < kN; ++j) {
      const auto at = [&](int64_t l) { return l < kK ? a[i * kK + l] : 0.0f; };
      const auto bt = [&](int64_t l) { return l < kK ? b[j * kK + l] : 0.0f; };
      float& one = chain[i * kN + j];
      float& two = pairs[i * kN + j];
      for (int64_t l = 0; l < kK; ++l) one = std::fma(at(l), bt(l), one);
      for (int64_t l = 0; l < kK; l += 2) {
        two = std::fma(at(l), bt(l), std::fma(at(l + 1), bt(l + 1), two));
      }
    }
  }
  if ((hwy::SupportedTargets() & (HWY_AVX2 | HWY_AVX3)) == 0) {
    std::printf("SKIPPED: this machine's multiply-add is not fused\n");
    return;
  }
  EXPECT_EQ(Multiplied(Panels(PanelEntry::kFloat, false), kM, kN, kK, 0, kM), chain);
  EXPECT_EQ(Multiplied(Panels(PanelEntry::kPairTwin, false), kM, kN, kK, 0, kM), pairs);
}

// A row's bits depend neither on the rows beside it (units, micro-batches) nor on who packed.
TEST(GemmTest, SameBitsAloneAndPackedBefore) {
  constexpr int64_t kM = 300, kN = 901, kK = 333, kFirst = 271, kRows = 5;
  for (const PanelEntry entry : {PanelEntry::kFloat, PanelEntry::kPair, PanelEntry::kPairTwin}) {
    if (entry == PanelEntry::kPair && !HasPairProducts()) continue;  // Bf16Ways() says so
    const std::vector<float> all = Multiplied(Panels(entry, false), kM, kN, kK, 0, kM);
    EXPECT_EQ(Multiplied(Panels(entry, true), kM, kN, kK, 0, kM), all);
    const std::vector<float> some = Multiplied(Panels(entry, true), kM, kN, kK, kFirst, kRows);
    EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin() + kFirst * kN));
  }
}

// Products that oneDNN 2.6 splits along k when it sees two threads: the narrow one with AVX2, the
// wider one with AVX-512.
class LongProducts {
 public:
  explicit LongProducts(Dtype dtype)
      : a_(reference::Random(dtype, kSideMax * kDepth, 1)),
        b_(reference::Random(dtype, kSideMax * kDepth, 2)) {}

  std::vector<float> Sums() {
    std::vector<float> sums;
    for (int64_t side : {kSideMax / 2, kSideMax}) {
      std::vector<float> c(side * side);
      const GemmOptions options{.dtype = a_.dtype, .m = side, .n = side, .k = kDepth};
      Workspace workspace(options);
      Gemm(options, {a_.data(), kDepth}, {b_.data(), kDepth, true}, {c.data(), side},
           workspace.span());
      sums.insert(sums.end(), c.begin(), c.end());
    }
    return sums;
  }

 private:
  static constexpr int64_t kSideMax = 128, kDepth = 8192;
  Typed a_, b_;
};

// OMP_NUM_THREADS=2 comes from the build file: a thread that Gemm failed to hold to one would split
// the sum and differ from the one that held itself.
TEST(GemmTest, SameBitsFromAnyThread) {
  ASSERT_STREQ(std::getenv("OMP_NUM_THREADS"), "2");
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    LongProducts products(dtype);
    std::vector<float> alone;
    std::thread([&] {
      omp_set_num_threads(1);
      alone = products.Sums();
    }).join();
    std::vector<std::vector<float>> together(3);
    std::vector<std::thread> threads;
    for (auto& c : together) threads.emplace_back([&] { c = products.Sums(); });
    for (auto& thread : threads) thread.join();
    for (const auto& c : together) EXPECT_EQ(c, alone);
  }
}

// The plan asks for the largest product of a kind; the last piece of a tile, or the first queries
// of a sequence, have fewer columns.
TEST(GemmTest, WorkspaceSufficesForFewerColumns) {
  for (const size_t k : {1, 64, 100, 768, 5000}) {
    for (size_t n = 1; n < 3000; ++n) {
      ASSERT_GE(GemmWorkspaceBytes(Dtype::kBf16, n, k), GemmWorkspaceBytes(Dtype::kBf16, n - 1, k))
          << n << " " << k;
      ASSERT_LE(GemmLotColumns(n), kGemmLotColumnsMax);
      ASSERT_LE(GemmLotColumns(n), RoundUp(n, kGemmPanelColumnsMax));
    }
  }
}

TEST(GemmDeathTest, RefusesAWorkspaceThatIsTooSmall) {
  Typed x = reference::Random(Dtype::kBf16, 4, 1);
  float c[4];
  EXPECT_DEATH(Gemm({.dtype = Dtype::kBf16, .m = 2, .n = 2, .k = 2}, {x.data(), 2}, {x.data(), 2},
                    {c, 2}, {}),
               "GemmWorkspaceBytes");
}

}  // namespace
}  // namespace waferstream
