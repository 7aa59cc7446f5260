#include "wafer_node/kernels/gemm_panels.h"

#include <algorithm>
#include <type_traits>

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
constexpr int64_t kStepsAtOnce = HWY_TARGET == HWY_AVX3 ? 128 : 256;
static_assert(kStepsAtOnce <= int64_t{kGemmPanelSteps} && kStepsAtOnce % kChainSteps == 0);

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

// Where the entries of a block of A are, for a loop that reads those of kPanelRows rows, step by
// step. Packed: panel after panel.
struct PackedLeft {
  const float* data;
  int64_t steps;
  const float* At(int64_t row, int64_t step) const {
    return data + row * steps + step * kPanelRows;
  }
  static constexpr int64_t row_stride() { return 1; }
  static constexpr int64_t step_stride() { return kPanelRows; }
};

// As it is, row-major.
struct AlongLeft {
  const float* data;
  int64_t stride;
  const float* At(int64_t row, int64_t step) const { return data + row * stride + step; }
  int64_t row_stride() const { return stride; }
  static constexpr int64_t step_stride() { return 1; }
};

// As it is, transposed.
struct AcrossLeft {
  const float* data;
  int64_t stride;
  const float* At(int64_t row, int64_t step) const { return data + row + step * stride; }
  static constexpr int64_t row_stride() { return 1; }
  int64_t step_stride() const { return stride; }
};

// One chain: some steps of kPanelRows rows of A, at `a`, times those of a panel of B, added to a
// rectangle of the sums, or, at first, their beginning.
template <class Entry, class Left>
HWY_INLINE void MultiplyChain(const Left& left, const float* HWY_RESTRICT a,
                              const float* HWY_RESTRICT b, int64_t steps, bool first,
                              float* HWY_RESTRICT sums, int64_t stride) {
  const FloatTag d;
  Floats low[kPanelRows], high[kPanelRows];
#pragma GCC unroll 8
  for (int64_t i = 0; i < kPanelRows; ++i) low[i] = high[i] = hn::Zero(d);
#pragma GCC unroll 2
  for (int64_t step = 0; step < steps; ++step) {
    const Floats b_low = hn::Load(d, b), b_high = hn::Load(d, b + kLanes);
#pragma GCC unroll 8
    for (int64_t i = 0; i < kPanelRows; ++i) {
      const Floats a_row = hn::Set(d, a[i * left.row_stride()]);
      low[i] = Entry::MultiplyAdd(a_row, b_low, low[i]);
      high[i] = Entry::MultiplyAdd(a_row, b_high, high[i]);
    }
    a += left.step_stride();
    b += kPanelColumns;
  }
#pragma GCC unroll 8
  for (int64_t i = 0; i < kPanelRows; ++i) {
    float* const row = sums + i * stride;
    if (!first) {
      low[i] = hn::Add(hn::LoadU(d, row), low[i]);
      high[i] = hn::Add(hn::LoadU(d, row + kLanes), high[i]);
    }
    hn::StoreU(low[i], d, row);
    hn::StoreU(high[i], d, row + kLanes);
  }
}

// The packed columns of B that a block of C is made of, for some steps of the summed dimension.
struct Columns {
  const float* data;
  int64_t panel;  // elements from one panel to the next
  int64_t count;
  int64_t steps;
  bool first;  // of the summed dimension
};

// Rows [rows.first, rows.end) of the block, in panels of kPanelRows; the last may reach beyond.
struct Rows {
  int64_t first;
  int64_t end;
};

template <class Entry, class Left>
void MultiplyRows(const Left& left, Rows rows, const Columns& b, float* sums, int64_t stride) {
  for (int64_t column = 0; column < b.count; column += kPanelColumns) {
    const float* panel = b.data + column / kPanelColumns * b.panel;
    for (int64_t row = rows.first; row < rows.end; row += kPanelRows) {
      int64_t step = 0;
      do {  // of no steps, too
        MultiplyChain<Entry>(left, left.At(row - rows.first, step), panel + step * kPanelColumns,
                             std::min(kChainSteps, b.steps - step), b.first && step == 0,
                             sums + row * stride + column, stride);
        step += kChainSteps;
      } while (step < b.steps);
    }
  }
}

constexpr int64_t StepsOf(int64_t k, int64_t values) { return (k + values - 1) / values; }

// Lines [first, first + count) of an operand, the values from `depth` on, panel after panel. Where
// lines are contiguous, a few values of all panels at a time: a row of the matrix then is a page of
// memory that is needed once, not once a panel.
template <class Entry, int64_t kLines, class Element>
void PackLines(const MatrixIn& x, bool lines_contiguous, int64_t first, int64_t count,
               int64_t depth, int64_t depth_count, float* to) {
  constexpr int64_t kDepthAtOnce = 8;
  const int64_t panel = StepsOf(depth_count, Entry::kValues) * kLines;
  const int64_t at_once = lines_contiguous ? kDepthAtOnce : depth_count;
  for (int64_t done = 0; done < depth_count; done += at_once) {
    float* out = to + done / Entry::kValues * kLines;
    for (int64_t line = 0; line < count; line += kLines, out += panel) {
      PackPanel<Entry::kValues, kLines>(
          LinesOf<Element>(x, lines_contiguous, first + line, std::min(kLines, count - line),
                           depth + done, std::min(at_once, depth_count - done)),
          out);
    }
  }
}

// Columns [first, first + count) of op(B).
template <class Entry, class Element>
void PackRight(const MatrixIn& b, int64_t first, int64_t count, int64_t depth, int64_t depth_count,
               float* to) {
  PackLines<Entry, kPanelColumns, Element>(b, !b.transposed, first, count, depth, depth_count, to);
}

// Rows [first, first + count) of op(A).
template <class Entry, class Element>
void PackLeft(const MatrixIn& a, int64_t first, int64_t count, int64_t depth, int64_t depth_count,
              float* to) {
  PackLines<Entry, kPanelRows, Element>(a, a.transposed, first, count, depth, depth_count, to);
}

// One product, cut into pieces that stay in a cache.
template <class Entry, class LeftElement, class RightElement>
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

  // Whether A is read where it is: few columns are not worth packing it.
  bool TakesLeftAsItIs() const {
    return std::is_same_v<LeftElement, float> && Entry::kValues == 1 &&
           options_.n <= kColumnsAtOnce;
  }

  // sums of a block += values [depth, depth + kDepth) of the summed dimension; C, when it was the
  // last time.
  void MultiplyDepth(const GemmBlock& block, int64_t depth) {
    const int64_t count = std::min(kDepth, options_.k - depth);
    const bool first = depth == 0, last = depth + count == options_.k;
    const int64_t unpacked = TakesLeftAsItIs() ? block.rows / kPanelRows * kPanelRows : 0;
    PackLeft<Entry, LeftElement>(a_, block.row + unpacked, block.rows - unpacked, depth, count,
                                 a_packed_);
    for (int64_t j = 0; j < block.columns; j += kColumnsAtOnce) {
      const GemmBlock part = {.row = block.row,
                              .column = block.column + j,
                              .rows = block.rows,
                              .columns = std::min(kColumnsAtOnce, block.columns - j)};
      const Columns b = ColumnsOf(part, depth, count);
      float* const sums = first && last ? sums_ : sums_ + j;
      if (unpacked > 0) MultiplyUnpacked(block.row, {0, unpacked}, depth, b, sums);
      MultiplyRows<Entry>(PackedLeft{a_packed_, b.steps}, {unpacked, block.rows}, b, sums, stride_);
      if (last) WriteGemmBlock(options_, part, sums, stride_, c_);
    }
  }

  // Of A from row `row` on.
  void MultiplyUnpacked(int64_t row, Rows rows, int64_t depth, const Columns& b, float* sums) {
    if constexpr (std::is_same_v<LeftElement, float>) {
      const float* const a = static_cast<const float*>(a_.data);
      if (a_.transposed) {
        MultiplyRows<Entry>(AcrossLeft{a + depth * a_.stride + row, a_.stride}, rows, b, sums,
                            stride_);
      } else {
        MultiplyRows<Entry>(AlongLeft{a + row * a_.stride + depth, a_.stride}, rows, b, sums,
                            stride_);
      }
    }
  }

  Columns ColumnsOf(const GemmBlock& part, int64_t depth, int64_t count) {
    const int64_t steps = StepsOf(count, Entry::kValues);
    if (b_.packed.data == nullptr) {
      PackRight<Entry, RightElement>(b_, part.column, part.columns, depth, count, b_packed_);
      return {b_packed_, steps * kPanelColumns, part.columns, steps, depth == 0};
    }
    const int64_t whole = StepsOf(b_.packed.depth, Entry::kValues);
    const int64_t at = (b_.packed.row + depth) / Entry::kValues * kPanelColumns;
    return {static_cast<const float*>(b_.packed.data) + part.column * whole + at,
            whole * kPanelColumns, part.columns, steps, depth == 0};
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
  if (options.kind.dtype == Dtype::kF32) {
    Product<FloatEntry, float, float>(options, a, b, c, workspace).Run();
  } else if (options.wide_left) {
    Product<FloatEntry, float, Bf16>(options, a, b, c, workspace).Run();
  } else {
    Product<FloatEntry, Bf16, Bf16>(options, a, b, c, workspace).Run();
  }
}

void MultiplyPairs(const GemmOptions& options, const MatrixIn& a, const MatrixIn& b,
                   const MatrixOut& c, std::span<std::byte> workspace) {
  Product<PairEntry, Bf16, Bf16>(options, a, b, c, workspace).Run();
}

void MultiplyPairTwins(const GemmOptions& options, const MatrixIn& a, const MatrixIn& b,
                       const MatrixOut& c, std::span<std::byte> workspace) {
  Product<PairTwinEntry, Bf16, Bf16>(options, a, b, c, workspace).Run();
}

int64_t Target() { return HWY_TARGET; }

void PackPairs(const MatrixIn& b, int64_t k, int64_t first, int64_t count, float* to) {
  PackRight<PairTwinEntry, Bf16>(b, first, count, 0, k, to);
}

void PackFloats(Dtype dtype, const MatrixIn& b, int64_t k, int64_t first, int64_t count,
                float* to) {
  WithElement(dtype, [&](auto element) HWY_ATTR {
    PackRight<FloatEntry, decltype(element)>(b, first, count, 0, k, to);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {

HWY_EXPORT(MultiplyFloats);
HWY_EXPORT(MultiplyPairs);
HWY_EXPORT(MultiplyPairTwins);
HWY_EXPORT(Target);
HWY_EXPORT(PackPairs);
HWY_EXPORT(PackFloats);

// Fixed by now (ForceKernelIsa).
bool HasPairProducts() {
  static const bool has = [] {
    // oneDNN's choice, so that its environment variable for a lower instruction set holds here too.
    const bool wanted = (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) ==
                        dnnl_cpu_isa_avx512_core_bf16;
    return wanted && PanelTarget() == HWY_AVX3;
  }();
  return has;
}

int64_t PanelTarget() { return HWY_DYNAMIC_DISPATCH(Target)(); }

void GemmPanels(PanelEntry entry, const GemmOptions& options, const MatrixIn& a, const MatrixIn& b,
                const MatrixOut& c, std::span<std::byte> workspace) {
  WS_CHECK(entry == PanelEntry::kFloat || options.kind.dtype == Dtype::kBf16);
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

size_t PanelOffsetBytes(PanelEntry entry, int64_t depth, int64_t column) {
  WS_CHECK(column % kGemmPanelColumnsMax == 0);
  const int64_t steps = entry == PanelEntry::kFloat ? depth : (depth + 1) / 2;
  return column * steps * kGemmPanelEntryBytes;
}

void PackPanels(PanelEntry entry, Dtype dtype, const MatrixIn& b, int64_t k, int64_t first,
                int64_t count, std::span<std::byte> packed) {
  WS_CHECK(packed.size() >= GemmPackedBytes(first + count, k));
  float* const to = reinterpret_cast<float*>(packed.data() + PanelOffsetBytes(entry, k, first));
  if (entry == PanelEntry::kFloat) {
    HWY_DYNAMIC_DISPATCH(PackFloats)(dtype, b, k, first, count, to);
  } else {
    WS_CHECK(dtype == Dtype::kBf16);
    HWY_DYNAMIC_DISPATCH(PackPairs)(b, k, first, count, to);
  }
}

}  // namespace waferstream
#endif
