#include "wafer_node/kernels/gemm.h"

#include <gtest/gtest.h>

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
      : bytes_(GemmWorkspaceBytes(o.kind, o.n, o.k)),
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

// A way to multiply by panels; with `packed`, the right operand whole and beforehand, in
// parts.
Implementation Panels(PanelEntry entry, bool packed) {
  return [=](const GemmOptions& o, const MatrixIn& a, const MatrixIn& b, const MatrixOut& c,
             std::span<std::byte> workspace) {
    if (!packed || o.m == 0 || o.n == 0) return GemmPanels(entry, o, a, b, c, workspace);
    const size_t bytes = RoundUp(GemmPackedBytes(o.n, o.k) + 1, kWorkspaceAlignment);
    const std::unique_ptr<std::byte, decltype(&std::free)> space(
        static_cast<std::byte*>(std::aligned_alloc(kWorkspaceAlignment, bytes)), std::free);
    std::memset(space.get(), 0xff, bytes);
    const int64_t part = 2 * kGemmPanelColumnsMax;
    for (int64_t first = (o.n - 1) / part * part; first >= 0; first -= part) {
      PackPanels(entry, o.kind.dtype, b, o.k, first, std::min(part, o.n - first),
                 {space.get(), bytes});
    }
    MatrixIn right = b;
    right.packed = {space.get(), o.k};
    GemmPanels(entry, o, a, right, c, workspace);
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
  ProductKind kind;
  Dtype out, bias;
  bool has_bias;
};

void Check(const Case& t, const Implementation& implementation) {
  constexpr int64_t kPad = 5;
  const Typed a = reference::Random(t.kind.dtype, t.m * t.k, 1),
              b = reference::Random(t.kind.dtype, t.k * t.n, 2);
  Typed bias = reference::Random(t.bias, t.n, 3);
  const Typed before = reference::Random(t.out, t.m * t.n, 4);
  const int64_t a_rows = t.a_transposed ? t.k : t.m, a_cols = t.a_transposed ? t.m : t.k;
  const int64_t b_rows = t.b_transposed ? t.n : t.k, b_cols = t.b_transposed ? t.k : t.n;
  Typed a_wide = Widen(a, a_rows, a_cols, a_cols + kPad);
  Typed b_wide = Widen(b, b_rows, b_cols, b_cols + kPad);
  Typed c = Widen(before, t.m, t.n, t.n + kPad);
  GemmOptions options{.kind = t.kind, .m = t.m, .n = t.n, .k = t.k, .accumulate = t.accumulate};
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
      << t.b_transposed << " accumulate " << t.accumulate << " dtype " << int(t.kind.dtype);
}

const std::vector<std::tuple<int64_t, int64_t, int64_t>> kShapes = {
    {1, 1, 1},    {0, 3, 4},    {3, 0, 4},     {3, 4, 0},    {1, 509, 15},  {7, 3, 33},
    {31, 33, 32}, {33, 31, 65}, {129, 40, 15}, {64, 64, 64}, {40, 97, 130}, {15, 200, 700},
};

void CheckShapes(ProductKind kind, Dtype out, const Implementation& implementation) {
  for (const auto& [m, n, k] : kShapes) {
    for (int flags = 0; flags < 16; ++flags) {
      const bool accumulate = (flags & 4) && out == Dtype::kF32;
      const Dtype bias = flags & 2 ? Dtype::kBf16 : Dtype::kF32;
      Check(
          {m, n, k, bool(flags & 1), bool(flags & 2), accumulate, kind, out, bias, bool(flags & 8)},
          implementation);
    }
  }
}

constexpr ProductKind kF32 = {Dtype::kF32}, kBf16 = {Dtype::kBf16};
constexpr ProductKind kPortableF32 = {Dtype::kF32, true}, kPortableBf16 = {Dtype::kBf16, true};

TEST(GemmTest, F32MatchesTheReference) { CheckShapes(kF32, Dtype::kF32, Gemm); }
TEST(GemmTest, Bf16MatchesTheReference) { CheckShapes(kBf16, Dtype::kF32, Gemm); }
TEST(GemmTest, Bf16ToBf16MatchesTheReference) { CheckShapes(kBf16, Dtype::kBf16, Gemm); }
TEST(GemmTest, F32ByPanelsMatchesTheReference) {
  for (const bool packed : {false, true}) {
    CheckShapes(kPortableF32, Dtype::kF32, Panels(PanelEntry::kFloat, packed));
  }
}
TEST(GemmTest, EveryBf16WayMatchesTheReference) {
  for (const auto& [name, way] : Bf16Ways()) {
    SCOPED_TRACE(name);
    CheckShapes(kBf16, Dtype::kF32, way);
    CheckShapes(kBf16, Dtype::kBf16, way);
  }
}

// Several blocks in every dimension.
void CheckLarge(ProductKind kind, const Implementation& way) {
  for (int flags = 0; flags < 4; ++flags) {
    const bool a_transposed = flags & 1, b_transposed = flags & 2;
    Check({300, 1100, 70, a_transposed, b_transposed, false, kind, Dtype::kF32, Dtype::kF32, false},
          way);
    Check({140, 150, 1500, a_transposed, b_transposed, true, kind, Dtype::kF32, Dtype::kF32, true},
          way);
  }
}

TEST(GemmTest, LargeMatchesTheReference) {
  CheckLarge(kF32, Gemm);
  CheckLarge(kPortableF32, Panels(PanelEntry::kFloat, true));
  for (const auto& [name, way] : Bf16Ways()) {
    SCOPED_TRACE(name);
    CheckLarge(kBf16, way);
  }
}

std::vector<float> Multiplied(const Implementation& way, int64_t m, int64_t n, int64_t k,
                              int64_t first_row, int64_t rows) {
  Typed a = reference::Random(Dtype::kBf16, m * k, 1),
        b = reference::Random(Dtype::kBf16, k * n, 2);
  std::vector<float> c(rows * n);
  const GemmOptions options{.kind = kBf16, .m = rows, .n = n, .k = k};
  Workspace workspace(options);
  way(options, {a.narrow.data() + first_row * k, k}, {b.data(), k, true}, {c.data(), n},
      workspace.span());
  return c;
}

// As the head uses a tile: columns of it, from one packing of the whole.
TEST(GemmTest, PartOfAPackedOperand) {
  constexpr int64_t kM = 9, kN = 200, kK = 77, kFirst = 3 * kGemmPanelColumnsMax;
  if (!PacksRight(kBf16)) {
    std::printf("SKIPPED: this machine's products take right operands as they are\n");
    return;
  }
  Typed a = reference::Random(Dtype::kBf16, kM * kK, 1),
        b = reference::Random(Dtype::kBf16, kN * kK, 2);
  alignas(kWorkspaceAlignment) static std::byte packed[GemmPackedBytes(kN, kK)];
  PackRight(kBf16, {b.data(), kK, true}, kK, 0, kN, packed);
  const GemmOptions options{.kind = kBf16, .m = kM, .n = kN - kFirst, .k = kK};
  Workspace workspace(options);
  std::vector<float> plain(kM * options.n), from_packed(plain);
  MatrixIn part = {b.narrow.data() + kFirst * kK, kK, true};
  Gemm(options, {a.data(), kK}, part, {plain.data(), options.n}, workspace.span());
  part.packed = PartOf(kBf16, {packed, kK}, 0, kFirst);
  Gemm(options, {a.data(), kK}, part, {from_packed.data(), options.n}, workspace.span());
  EXPECT_EQ(plain, from_packed);
}

// Sum over [0, k) of what `chain` makes of every `length` values, in order.
float Chained(int64_t k, int64_t length,
              const std::function<float(int64_t first, int64_t end)>& chain) {
  float sum = chain(0, std::min(length, k));
  for (int64_t first = length; first < k; first += length) {
    sum += chain(first, std::min(first + length, k));
  }
  return sum;
}

// docs/adr/0041, of the values a(l) and b(l).
template <class A, class B>
float InChains(int64_t k, A a, B b) {
  return Chained(k, kChainSteps, [&](int64_t first, int64_t end) {
    float chain = 0;
    for (int64_t l = first; l < end; ++l) chain = std::fma(a(l), b(l), chain);
    return chain;
  });
}

// Chains of so many steps, in the order of k: so says gemm_panels.h. No other block's size shows.
TEST(GemmTest, PanelsSumInOrder) {
  constexpr int64_t kM = 7, kN = 37, kK = 1201;
  const std::vector<float> a = reference::Random(Dtype::kBf16, kM * kK, 1).floats(),
                           b = reference::Random(Dtype::kBf16, kK * kN, 2).floats();
  std::vector<float> chains(kM * kN), pairs(kM * kN);
  for (int64_t i = 0; i < kM; ++i) {
    for (int64_t j = 0; j < kN; ++j) {
      const auto at = [&](int64_t l) { return l < kK ? a[i * kK + l] : 0.0f; };
      const auto bt = [&](int64_t l) { return l < kK ? b[j * kK + l] : 0.0f; };
      chains[i * kN + j] = InChains(kK, at, bt);
      pairs[i * kN + j] = Chained(kK, 2 * kChainSteps, [&](int64_t first, int64_t end) {
        float chain = 0;
        for (int64_t l = first; l < end; l += 2) {
          chain = std::fma(at(l), bt(l), std::fma(at(l + 1), bt(l + 1), chain));
        }
        return chain;
      });
    }
  }
  if (!CanBePortable()) {
    std::printf("SKIPPED: this machine's multiply-add is not fused\n");
    return;
  }
  EXPECT_EQ(Multiplied(Panels(PanelEntry::kFloat, false), kM, kN, kK, 0, kM), chains);
  EXPECT_EQ(Multiplied(Panels(PanelEntry::kPairTwin, false), kM, kN, kK, 0, kM), pairs);
}

// As attention uses a head's values: rows of one packing, for products over some of them.
TEST(GemmTest, RowsOfAPackedOperand) {
  constexpr int64_t kM = 9, kN = 40, kK = 200, kFirst = 2 * kGemmPanelColumnsMax, kCount = 71;
  for (const ProductKind kind : {kPortableF32, kPortableBf16, kBf16}) {
    if (!PacksRight(kind) || (kind.portable && !CanBePortable())) continue;
    Typed a = reference::Random(kind.dtype, kM * kCount, 1),
          b = reference::Random(kind.dtype, kK * kN, 2);
    alignas(kWorkspaceAlignment) static std::byte packed[GemmPackedBytes(kN, kK)];
    MatrixIn rows = {static_cast<std::byte*>(b.data()) + kFirst * kN * BytesOf(kind.dtype), kN};
    const GemmOptions options{.kind = kind, .m = kM, .n = kN, .k = kCount};
    Workspace workspace(options);
    std::vector<float> plain(kM * kN), from_packed(plain);
    Gemm(options, {a.data(), kCount}, rows, {plain.data(), kN}, workspace.span());
    PackRight(kind, {b.data(), kN}, kK, 0, kN, packed);
    rows.packed = PartOf(kind, {packed, kK}, kFirst, 0);
    Gemm(options, {a.data(), kCount}, rows, {from_packed.data(), kN}, workspace.span());
    EXPECT_EQ(plain, from_packed);
  }
}

// Values of which some are so small that their products are subnormal, or nothing.
Typed OfAllSizes(Dtype dtype, size_t n, uint64_t seed) {
  Typed x = reference::Random(dtype, n, seed);
  for (size_t i = 0; i < n; ++i) {
    const float value = std::ldexp(static_cast<float>(x.at(i)), i % 3 == 0 ? -70 : 0);
    dtype == Dtype::kF32 ? void(x.wide[i] = value) : void(x.narrow[i] = ToBf16(value));
  }
  return x;
}

// docs/adr/0041: whatever the vector's width, the packing and the operands' order in memory.
TEST(GemmTest, PortableSumsAreTheChainsThatAreWrittenDown) {
  if (!CanBePortable()) {
    std::printf("SKIPPED: this machine's multiply-add is not fused\n");
    return;
  }
  constexpr int64_t kM = 21, kN = 83, kK = 1201;
  for (const ProductKind kind : {kPortableF32, kPortableBf16}) {
    Typed a = OfAllSizes(kind.dtype, kM * kK, 1), b = OfAllSizes(kind.dtype, kK * kN, 2);
    const std::vector<float> left = a.floats(), right = b.floats();
    const std::vector<float> bias = reference::Random(Dtype::kF32, kN, 3).floats();
    const std::vector<float> before = reference::Random(Dtype::kF32, kM * kN, 4).floats();
    for (int flags = 0; flags < 4; ++flags) {
      const bool a_transposed = flags & 1, b_transposed = flags & 2;
      std::vector<float> want(kM * kN), got = before;
      for (int64_t i = 0; i < kM; ++i) {
        for (int64_t j = 0; j < kN; ++j) {
          const float sum = InChains(
              kK, [&](int64_t l) { return left[a_transposed ? l * kM + i : i * kK + l]; },
              [&](int64_t l) { return right[b_transposed ? j * kK + l : l * kN + j]; });
          want[i * kN + j] = (sum + bias[j]) + before[i * kN + j];
        }
      }
      const GemmOptions options{
          .kind = kind, .m = kM, .n = kN, .k = kK, .accumulate = true, .bias = bias.data()};
      Workspace workspace(options);
      Gemm(options, {a.data(), a_transposed ? kM : kK, a_transposed},
           {b.data(), b_transposed ? kK : kN, b_transposed}, {got.data(), kN}, workspace.span());
      EXPECT_EQ(got, want) << flags << " dtype " << int(kind.dtype);
    }
  }
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

TEST(GemmTest, SameBitsFromAnyThread) {
  constexpr int64_t kSide = 64, kK = 3000;
  for (const ProductKind kind : {kF32, kBf16}) {
    Typed a = reference::Random(kind.dtype, kSide * kK, 1),
          b = reference::Random(kind.dtype, kSide * kK, 2);
    const auto product = [&] {
      std::vector<float> c(kSide * kSide);
      const GemmOptions options{.kind = kind, .m = kSide, .n = kSide, .k = kK};
      Workspace workspace(options);
      Gemm(options, {a.data(), kK}, {b.data(), kK, true}, {c.data(), kSide}, workspace.span());
      return c;
    };
    const std::vector<float> alone = product();
    std::vector<std::vector<float>> together(3);
    std::vector<std::thread> threads;
    for (auto& c : together) threads.emplace_back([&] { c = product(); });
    for (auto& thread : threads) thread.join();
    for (const auto& c : together) EXPECT_EQ(c, alone);
  }
}

// The plan asks for the largest product of a kind; the last piece of a tile, or the first queries
// of a sequence, have fewer columns.
TEST(GemmTest, WorkspaceSufficesForFewerColumns) {
  for (const size_t k : {1, 64, 100, 768, 5000}) {
    for (size_t n = 1; n < 3000; ++n) {
      ASSERT_GE(GemmWorkspaceBytes(kBf16, n, k), GemmWorkspaceBytes(kBf16, n - 1, k))
          << n << " " << k;
      ASSERT_LE(GemmLotColumns(n), kGemmLotColumnsMax);
      ASSERT_LE(GemmLotColumns(n), RoundUp(n, kGemmPanelColumnsMax));
    }
  }
}

TEST(GemmDeathTest, RefusesAWorkspaceThatIsTooSmall) {
  Typed x = reference::Random(Dtype::kBf16, 4, 1);
  float c[4];
  EXPECT_DEATH(
      Gemm({.kind = kBf16, .m = 2, .n = 2, .k = 2}, {x.data(), 2}, {x.data(), 2}, {c, 2}, {}),
      "GemmWorkspaceBytes");
}

}  // namespace
}  // namespace waferstream
