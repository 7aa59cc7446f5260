#include "wafer_node/kernels/gemm_panels.h"

#include <algorithm>

#include "base/status.h"
#include "oneapi/dnnl/dnnl.h"
#include "plan/kernel_workspace.h"
#include "wafer_node/kernels/gemm_write.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "wafer_node/kernels/gemm_panels.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "wafer_node/kernels/pack_panel-inl.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

using FloatTag = hn::ScalableTag<float>;
using Floats = hn::Vec<FloatTag>;
constexpr int64_t kLanes = hn::MaxLanes(FloatTag());

// The rectangle of C in registers is kPanelRows x two vectors: with 32 registers 8 x 2 sums are
// enough to hide the multiply-add's latency, with 16 as many as leave room for the operands.
constexpr int64_t kPanelRows = HWY_TARGET == HWY_AVX3 ? 8 : 6;
constexpr int64_t kPanelColumns = 2 * kLanes;
static_assert(kGemmPanelColumnsMax % kPanelColumns == 0);
static_assert(kPanelRows <= int64_t{kGemmPanelRowsMax});

// Steps whose panel of B stays in an L1 cache of 32 KiB beside that of A.
constexpr int64_t kStepsAtOnce = HWY_TARGET == HWY_AVX3 ? 160 : 256;
static_assert(kStepsAtOnce <= int64_t{kGemmPanelSteps});

// The multiply-adds of the entries: sums + a b.
struct FloatEntry {
  static constexpr int64_t kValues = kFloatValues;
  static HWY_INLINE Floats MultiplyAdd(Floats a, Floats b, Floats sums) {
    return hn::MulAdd(a, b, sums);
  }
};

struct PairTwinEntry {
  static constexpr int64_t kValues = kPairValues;
  static HWY_INLINE Floats MultiplyAdd(Floats a, Floats b, Floats sums) {
    return hn::MulAdd(Earlier(a), Earlier(b), hn::MulAdd(Later(a), Later(b), sums));
  }

 private:
  static HWY_INLINE Floats Later(Floats pairs) {
    const hn::RebindToUnsigned<FloatTag> u;
    return hn::BitCast(FloatTag(), hn::And(hn::BitCast(u, pairs), hn::Set(u, 0xffff0000u)));
  }
  static HWY_INLINE Floats Earlier(Floats pairs) {
    const hn::RebindToUnsigned<FloatTag> u;
    return hn::BitCast(FloatTag(), hn::ShiftLeft<16>(hn::BitCast(u, pairs)));
  }
};

#if HWY_TARGET == HWY_AVX3
struct PairEntry {
  static constexpr int64_t kValues = kPairValues;
  static HWY_INLINE Floats MultiplyAdd(Floats a, Floats b, Floats sums) {
    // Highway's AVX3 does not include AVX-512 BF16, so its intrinsic cannot be inlined here.
    asm("vdpbf16ps %2, %1, %0" : "+v"(sums.raw) : "v"(a.raw), "v"(b.raw));
    return sums;
  }
};
#else
using PairEntry = PairTwinEntry;  // never chosen: HasPairProducts() is false
#endif

// One panel of A times one of B, onto a rectangle of the sums.
template <class Entry>
HWY_INLINE void MultiplyPanels(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b,
                               int64_t steps, bool first, float* HWY_RESTRICT sums,
                               int64_t stride) {
  const FloatTag d;
  Floats left[kPanelRows], right[kPanelRows];
#pragma GCC unroll 8
  for (int64_t i = 0; i < kPanelRows; ++i) {
    left[i] = first ? hn::Zero(d) : hn::LoadU(d, sums + i * stride);
    right[i] = first ? hn::Zero(d) : hn::LoadU(d, sums + i * stride + kLanes);
  }
#pragma GCC unroll 2
  for (int64_t step = 0; step < steps; ++step) {
    const Floats b_left = hn::Load(d, b), b_right = hn::Load(d, b + kLanes);
#pragma GCC unroll 8
    for (int64_t i = 0; i < kPanelRows; ++i) {
      const Floats a_row = hn::Set(d, a[i]);
      left[i] = Entry::MultiplyAdd(a_row, b_left, left[i]);
      right[i] = Entry::MultiplyAdd(a_row, b_right, right[i]);
    }
    a += kPanelRows;
    b += kPanelColumns;
  }
#pragma GCC unroll 8
  for (int64_t i = 0; i < kPanelRows; ++i) {
    hn::StoreU(left[i], d, sums + i * stride);
    hn::StoreU(right[i], d, sums + i * stride + kLanes);
  }
}

// The packed operands of a block of C, for some steps of the summed dimension.
struct Block {
  const float* a;
  const float* b;
  int64_t b_panel;  // elements from one panel of B to the next
  int64_t rows;
  int64_t columns;
  int64_t steps;
  bool first;  // of the summed dimension
};

template <class Entry>
void MultiplyBlock(const Block& block, float* sums, int64_t stride) {
  for (int64_t column = 0; column < block.columns; column += kPanelColumns) {
    const float* b = block.b + column / kPanelColumns * block.b_panel;
    for (int64_t row = 0; row < block.rows; row += kPanelRows) {
      MultiplyPanels<Entry>(block.a + row * block.steps, b, block.steps, block.first,
                            sums + row * stride + column, stride);
    }
  }
}

constexpr int64_t StepsOf(int64_t k, int64_t values) { return (k + values - 1) / values; }

// Columns [first, first + count) of op(B), the values from `depth` on, panel after panel.
template <class Entry>
void PackRight(const MatrixIn& b, int64_t first, int64_t count, int64_t depth, int64_t depth_count,
               float* to) {
  const int64_t panel = StepsOf(depth_count, Entry::kValues) * kPanelColumns;
  for (int64_t j = 0; j < count; j += kPanelColumns, to += panel) {
    PackPanel<Entry::kValues, kPanelColumns>(
        LinesOf(b, !b.transposed, first + j, std::min(kPanelColumns, count - j), depth,
                depth_count),
        to);
  }
}

template <class Entry>
void PackLeft(const MatrixIn& a, int64_t first, int64_t count, int64_t depth, int64_t depth_count,
              float* to) {
  const int64_t panel = StepsOf(depth_count, Entry::kValues) * kPanelRows;
  for (int64_t i = 0; i < count; i += kPanelRows, to += panel) {
    PackPanel<Entry::kValues, kPanelRows>(
        LinesOf(a, a.transposed, first + i, std::min(kPanelRows, count - i), depth, depth_count),
        to);
  }
}

// One product, cut into pieces that stay in a cache.
template <class Entry>
class Product {
 public:
  Product(const GemmOptions& options, const MatrixIn& a, const MatrixIn& b, const MatrixOut& c,
          std::span<std::byte> workspace)
      : options_(options), a_(a), b_(b), c_(c), stride_(SumsStride(options)) {
    const int64_t steps = std::min(kStepsAtOnce, StepsOf(options.k, Entry::kValues));
    constexpr int64_t kRows = kGemmBlockRows + kGemmPanelRowsMax;
    b_packed_ = reinterpret_cast<float*>(workspace.data());
    sums_ = b_packed_ + kColumnsAtOnce * steps;
    a_packed_ = sums_ + kRows * stride_;
    WS_CHECK(reinterpret_cast<std::byte*>(a_packed_ + kRows * steps) <=
             workspace.data() + workspace.size());
  }

  void Run() {
    const int64_t lot = GemmLotColumns(options_.n);
    for (int64_t column = 0; column < options_.n; column += lot) {
      for (int64_t row = 0; row < options_.m; row += kGemmBlockRows) {
        const GemmBlock block = {.row = row,
                                 .column = column,
                                 .rows = std::min<int64_t>(kGemmBlockRows, options_.m - row),
                                 .columns = std::min(lot, options_.n - column)};
        // An empty sum is one round of no steps.
        int64_t depth = 0;
        do {
          MultiplyDepth(block, depth);
          depth += kDepth;
        } while (depth < options_.k);
      }
    }
  }

 private:
  static constexpr int64_t kDepth = kStepsAtOnce * Entry::kValues;
  // Columns that are written to C while their sums are in a cache.
  static constexpr int64_t kColumnsAtOnce = kGemmPanelColumnsAtOnce;
  static_assert(kColumnsAtOnce % kPanelColumns == 0);

  static int64_t SumsStride(const GemmOptions& options) {
    return GemmLotColumns(options.n) + kGemmSumsPadding;
  }

  // sums of a block += values [depth, depth + kDepth) of the summed dimension; C, when it was the
  // last time.
  void MultiplyDepth(const GemmBlock& block, int64_t depth) {
    const int64_t count = std::min(kDepth, options_.k - depth);
    const bool first = depth == 0, last = depth + count == options_.k;
    PackLeft<Entry>(a_, block.row, block.rows, depth, count, a_packed_);
    for (int64_t j = 0; j < block.columns; j += kColumnsAtOnce) {
      const GemmBlock part = {.row = block.row,
                              .column = block.column + j,
                              .rows = block.rows,
                              .columns = std::min(kColumnsAtOnce, block.columns - j)};
      float* const sums = first && last ? sums_ : sums_ + j;
      MultiplyBlock<Entry>(Operands(part, depth, count), sums, stride_);
      if (last) WriteGemmBlock(options_, part, sums, stride_, c_);
    }
  }

  Block Operands(const GemmBlock& part, int64_t depth, int64_t count) {
    const int64_t steps = StepsOf(count, Entry::kValues);
    Block block{.a = a_packed_,
                .b = b_packed_,
                .b_panel = steps * kPanelColumns,
                .rows = part.rows,
                .columns = part.columns,
                .steps = steps,
                .first = depth == 0};
    if (b_.packed == nullptr) {
      PackRight<Entry>(b_, part.column, part.columns, depth, count, b_packed_);
    } else {
      const int64_t whole = StepsOf(options_.k, Entry::kValues);
      block.b = static_cast<const float*>(b_.packed) + part.column * whole +
                depth / Entry::kValues * kPanelColumns;
      block.b_panel = whole * kPanelColumns;
    }
    return block;
  }

  const GemmOptions& options_;
  const MatrixIn& a_;
  const MatrixIn& b_;
  const MatrixOut& c_;
  const int64_t stride_;  // of sums_
  float* b_packed_;
  float* sums_;
  float* a_packed_;
};

void MultiplyFloats(const GemmOptions& options, const MatrixIn& a, const MatrixIn& b,
                    const MatrixOut& c, std::span<std::byte> workspace) {
  Product<FloatEntry>(options, a, b, c, workspace).Run();
}

void MultiplyPairs(const GemmOptions& options, const MatrixIn& a, const MatrixIn& b,
                   const MatrixOut& c, std::span<std::byte> workspace) {
  Product<PairEntry>(options, a, b, c, workspace).Run();
}

void MultiplyPairTwins(const GemmOptions& options, const MatrixIn& a, const MatrixIn& b,
                       const MatrixOut& c, std::span<std::byte> workspace) {
  Product<PairTwinEntry>(options, a, b, c, workspace).Run();
}

void PackColumns(bool pairs, const MatrixIn& b, int64_t k, int64_t first, int64_t count,
                 float* to) {
  pairs ? PackRight<PairTwinEntry>(b, first, count, 0, k, to)
        : PackRight<FloatEntry>(b, first, count, 0, k, to);
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {

HWY_EXPORT(MultiplyFloats);
HWY_EXPORT(MultiplyPairs);
HWY_EXPORT(MultiplyPairTwins);
HWY_EXPORT(PackColumns);

// Highway asks the CPU anew each time, and in a virtual machine that is the hypervisor: tens of
// microseconds, more than a small product takes. What it says is fixed by now (ForceKernelIsa).
bool HasPairProducts() {
  static const bool has = [] {
    // oneDNN's choice, so that its environment variable for a lower instruction set holds here too.
    const bool wanted = (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) ==
                        dnnl_cpu_isa_avx512_core_bf16;
    return wanted && (hwy::SupportedTargets() & HWY_TARGETS & HWY_AVX3) != 0;
  }();
  return has;
}

void GemmBf16Panels(PanelEntry entry, const GemmOptions& options, const MatrixIn& a,
                    const MatrixIn& b, const MatrixOut& c, std::span<std::byte> workspace) {
  switch (entry) {
    case PanelEntry::kFloat:
      return HWY_DYNAMIC_DISPATCH(MultiplyFloats)(options, a, b, c, workspace);
    case PanelEntry::kPair:
      WS_CHECK(HasPairProducts());
      return HWY_DYNAMIC_DISPATCH(MultiplyPairs)(options, a, b, c, workspace);
    case PanelEntry::kPairTwin:
      return HWY_DYNAMIC_DISPATCH(MultiplyPairTwins)(options, a, b, c, workspace);
  }
}

size_t PanelOffsetBytes(PanelEntry entry, int64_t k, int64_t first) {
  WS_CHECK(first % kGemmPanelColumnsMax == 0);
  const int64_t steps = entry == PanelEntry::kFloat ? k : (k + 1) / 2;
  return first * steps * kGemmPanelEntryBytes;
}

void PackPanels(PanelEntry entry, const MatrixIn& b, int64_t k, int64_t first, int64_t count,
                std::span<std::byte> packed) {
  WS_CHECK(packed.size() >= GemmPackedBytes(first + count, k));
  float* const to = reinterpret_cast<float*>(packed.data() + PanelOffsetBytes(entry, k, first));
  HWY_DYNAMIC_DISPATCH(PackColumns)(entry != PanelEntry::kFloat, b, k, first, count, to);
}

}  // namespace waferstream
#endif
