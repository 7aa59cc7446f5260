// Copies part of a matrix into a panel (gemm_panels.h), for code that Highway compiles once per
// SIMD target.
#if defined(WAFERSTREAM_KERNELS_PACK_PANEL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WAFERSTREAM_KERNELS_PACK_PANEL_INL_H_
#undef WAFERSTREAM_KERNELS_PACK_PANEL_INL_H_
#else
#define WAFERSTREAM_KERNELS_PACK_PANEL_INL_H_
#endif

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "base/simd-inl.h"
#include "hwy/highway.h"
#include "wafer_node/kernels/gemm.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

// Values along the summed dimension in one entry of a panel.
constexpr int64_t kFloatValues = 1;
constexpr int64_t kPairValues = 2;

// Part of an operand: `lines` rows of the left or columns of the right one, `depth` values of the
// summed dimension. One of the two strides, in elements, is 1.
template <class Element>
struct Lines {
  const Element* data;
  int64_t line_stride;
  int64_t depth_stride;
  int64_t lines;
  int64_t depth;
};

// `lines_contiguous`: whether neighbours in memory are of different lines.
template <class Element>
HWY_INLINE Lines<Element> LinesOf(const MatrixIn& x, bool lines_contiguous, int64_t line,
                                  int64_t lines, int64_t depth, int64_t depth_count) {
  const int64_t line_stride = lines_contiguous ? 1 : x.stride;
  const int64_t depth_stride = lines_contiguous ? x.stride : 1;
  const Element* data = static_cast<const Element*>(x.data);
  return {data + line * line_stride + depth * depth_stride, line_stride, depth_stride, lines,
          depth_count};
}

HWY_INLINE uint32_t FloatBits(float x) { return std::bit_cast<uint32_t>(x); }
HWY_INLINE uint32_t FloatBits(Bf16 x) { return uint32_t{x.bits} << 16; }

// Any entry, zero where the matrix ends.
template <int64_t kValues, class Element>
HWY_INLINE uint32_t EntryAt(const Lines<Element>& x, int64_t line, int64_t step) {
  const auto bits = [&](int64_t depth) -> uint32_t {
    if (line >= x.lines || depth >= x.depth) return 0;
    return FloatBits(x.data[line * x.line_stride + depth * x.depth_stride]);
  };
  if constexpr (kValues == kFloatValues) return bits(step);
  return bits(2 * step) >> 16 | bits(2 * step + 1);
}

template <int64_t kValues, int64_t kLines, class Element>
HWY_INLINE void PackSlowly(const Lines<Element>& x, int64_t line, int64_t lines, int64_t step,
                           int64_t steps, float* to) {
  for (int64_t s = step; s < steps; ++s) {
    for (int64_t l = line; l < line + lines; ++l) {
      const uint32_t entry = EntryAt<kValues>(x, l, s);
      std::memcpy(to + s * kLines + l, &entry, sizeof entry);
    }
  }
}

#if HWY_TARGET != HWY_SCALAR

// Entries of neighbouring lines, which are neighbours in memory, one step.
template <int64_t kValues, class D, class Element>
HWY_INLINE hn::Vec<D> LoadAcross(D d, const Lines<Element>& x, int64_t line, int64_t step) {
  const Element* from = x.data + line + step * kValues * x.depth_stride;
  if constexpr (kValues == kFloatValues) return LoadFloats(d, from);
  const hn::RebindToUnsigned<D> u;
  const auto earlier = hn::ShiftRight<16>(hn::BitCast(u, LoadFloats(d, from)));
  const auto later = hn::BitCast(u, LoadFloats(d, from + x.depth_stride));
  return hn::BitCast(d, hn::Or(earlier, later));
}

// Lines [line, line + lanes of D), which all exist, of a matrix whose lines are contiguous.
template <int64_t kValues, int64_t kLines, class D, class Element>
HWY_INLINE void PackAcross(D d, const Lines<Element>& x, int64_t line, float* to) {
  const int64_t whole = x.depth / kValues;
  for (int64_t step = 0; step < whole; ++step) {
    hn::StoreU(LoadAcross<kValues>(d, x, line, step), d, to + step * kLines + line);
  }
  PackSlowly<kValues, kLines>(x, line, hn::MaxLanes(d), whole, (x.depth + kValues - 1) / kValues,
                              to);
}

// One entry of each of four lines, or of the first two.
template <int64_t kCount, class V>
HWY_INLINE void StoreEntries(V entries, float* to) {
  const hn::FixedTag<float, 4> d;
  if constexpr (kCount == 4) {
    hn::StoreU(hn::BitCast(d, entries), d, to);
  } else {
    const hn::Half<decltype(d)> half;
    hn::StoreU(hn::LowerHalf(half, hn::BitCast(d, entries)), half, to);
  }
}

// Four words of a line: eight values of bf16, four of fp32.
HWY_INLINE hn::Vec<hn::FixedTag<uint32_t, 4>> LoadWords(const Bf16* from) {
  return hn::BitCast(hn::FixedTag<uint32_t, 4>(),
                     hn::LoadU(hn::FixedTag<uint16_t, 8>(), &from->bits));
}
HWY_INLINE hn::Vec<hn::FixedTag<uint32_t, 4>> LoadWords(const float* from) {
  return hn::BitCast(hn::FixedTag<uint32_t, 4>(), hn::LoadU(hn::FixedTag<float, 4>(), from));
}

// One word of each line: a step of the panel, or two if it is a pair and an entry is not.
template <int64_t kSteps, int64_t kLines, int64_t kCount, class V>
HWY_INLINE void StoreWords(V words, float* to) {
  if constexpr (kSteps == 1) {
    StoreEntries<kCount>(words, to);
  } else {
    const hn::FixedTag<uint32_t, 4> u;
    StoreEntries<kCount>(hn::ShiftLeft<16>(hn::BitCast(u, words)), to);
    StoreEntries<kCount>(hn::And(hn::BitCast(u, words), hn::Set(u, 0xffff0000u)), to + kLines);
  }
}

// Lines [line, line + kCount), which all exist, of a matrix whose depth is contiguous: transposes
// four words of each at a time. kCount is 4 or 2.
template <int64_t kValues, int64_t kLines, int64_t kCount, class Element>
HWY_INLINE void PackAlong(const Lines<Element>& x, int64_t line, float* to) {
  const hn::FixedTag<uint32_t, 4> d;
  const hn::FixedTag<uint64_t, 2> wide;
  constexpr int64_t kAtOnce = 4 * sizeof(float) / sizeof(Element);  // values of a line
  constexpr int64_t kSteps = kAtOnce / 4 / kValues;                 // that a word makes
  constexpr int64_t kRow = kSteps * kLines;
  const auto load = [&](int64_t l, int64_t depth)
                        HWY_ATTR { return LoadWords(x.data + l * x.line_stride + depth); };
  int64_t depth = 0;
  for (; depth + kAtOnce <= x.depth; depth += kAtOnce) {
    const auto a = load(line, depth), b = load(line + 1, depth);
    const auto c = load(line + kCount - 2, depth), e = load(line + kCount - 1, depth);
    const auto ab_low = hn::BitCast(wide, hn::InterleaveLower(d, a, b));
    const auto ab_high = hn::BitCast(wide, hn::InterleaveUpper(d, a, b));
    const auto ce_low = hn::BitCast(wide, hn::InterleaveLower(d, c, e));
    const auto ce_high = hn::BitCast(wide, hn::InterleaveUpper(d, c, e));
    float* const at = to + depth / kValues * kLines + line;
    StoreWords<kSteps, kLines, kCount>(hn::InterleaveLower(wide, ab_low, ce_low), at);
    StoreWords<kSteps, kLines, kCount>(hn::InterleaveUpper(wide, ab_low, ce_low), at + kRow);
    StoreWords<kSteps, kLines, kCount>(hn::InterleaveLower(wide, ab_high, ce_high), at + 2 * kRow);
    StoreWords<kSteps, kLines, kCount>(hn::InterleaveUpper(wide, ab_high, ce_high), at + 3 * kRow);
  }
  PackSlowly<kValues, kLines>(x, line, kCount, depth / kValues, (x.depth + kValues - 1) / kValues,
                              to);
}

#endif  // HWY_TARGET != HWY_SCALAR

// As many whole lines as vectors take at a time, from the first on; returns how many.
template <int64_t kValues, int64_t kLines, class Element>
HWY_INLINE int64_t PackQuickly([[maybe_unused]] const Lines<Element>& x,
                               [[maybe_unused]] float* to) {
  int64_t line = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<float> full;
  const hn::FixedTag<float, 4> four;
  const hn::FixedTag<float, 2> two;
  if (x.line_stride == 1) {
    constexpr int64_t kFull = hn::MaxLanes(full);
    for (; line + kFull <= x.lines; line += kFull) PackAcross<kValues, kLines>(full, x, line, to);
    for (; line + 4 <= x.lines; line += 4) PackAcross<kValues, kLines>(four, x, line, to);
    for (; line + 2 <= x.lines; line += 2) PackAcross<kValues, kLines>(two, x, line, to);
  } else {
    for (; line + 4 <= x.lines; line += 4) PackAlong<kValues, kLines, 4>(x, line, to);
    for (; line + 2 <= x.lines; line += 2) PackAlong<kValues, kLines, 2>(x, line, to);
  }
#endif
  return line;
}

// Writes the panel of kLines lines, [steps][kLines]; steps = ceil(x.depth / kValues).
template <int64_t kValues, int64_t kLines, class Element>
HWY_INLINE void PackPanel(const Lines<Element>& x, float* to) {
  const int64_t quick = PackQuickly<kValues, kLines>(x, to);
  PackSlowly<kValues, kLines>(x, quick, kLines - quick, 0, (x.depth + kValues - 1) / kValues, to);
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#endif
