#include "memoryx/matrix_product.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "memoryx/matrix_product.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "base/simd-inl.h"
#include "hwy/highway.h"

#ifndef WAFERSTREAM_MEMORYX_MATRIX_PRODUCT_CC_
#define WAFERSTREAM_MEMORYX_MATRIX_PRODUCT_CC_
namespace waferstream {

// What is packed of b at once is 128 KiB, a part of an L2 cache; of two of the widest vectors
// 32 KiB, an L1 cache.
inline constexpr size_t kInnerBlock = 256;
inline constexpr size_t kColumnsAPart = 128;

// Columns [first, end) of a product.
struct ProductPart {
  size_t rows, inner, cols;
  const float* a;
  const float* b;
  float* out;
  size_t first, end;
};

}  // namespace waferstream
#endif

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

// A sum up to inner index `from`.
template <class D>
HWY_INLINE hn::Vec<D> SumSoFar(D d, const float* out, size_t from) {
  return from == 0 ? hn::Zero(d) : hn::LoadU(d, out);
}

// Goes on with the sums of one row and one vector of columns, by inner indices [from, to).
template <class D>
HWY_INLINE void OneByOne(D d, const ProductPart& p, size_t row, size_t col, size_t from,
                         size_t to) {
  float* const out = p.out + row * p.cols + col;
  auto sum = SumSoFar(d, out, from);
  for (size_t k = from; k < to; ++k) {
    const auto b = hn::LoadU(d, p.b + k * p.cols + col);
    sum = hn::Add(sum, hn::Mul(hn::Set(d, p.a[row * p.inner + k]), b));
  }
  hn::StoreU(sum, d, out);
}

// The same of four rows and two vectors, whose part of b is packed one row after the other.
template <class D>
HWY_INLINE void FourByTwo(D d, const ProductPart& p, const float* packed, size_t row, size_t col,
                          size_t from, size_t to) {
  const size_t lanes = hn::Lanes(d);
  const float* const a0 = p.a + row * p.inner;
  const float* const a1 = a0 + p.inner;
  const float* const a2 = a1 + p.inner;
  const float* const a3 = a2 + p.inner;
  float* const o0 = p.out + row * p.cols + col;
  float* const o1 = o0 + p.cols;
  float* const o2 = o1 + p.cols;
  float* const o3 = o2 + p.cols;
  auto s00 = SumSoFar(d, o0, from), s01 = SumSoFar(d, o0 + lanes, from);
  auto s10 = SumSoFar(d, o1, from), s11 = SumSoFar(d, o1 + lanes, from);
  auto s20 = SumSoFar(d, o2, from), s21 = SumSoFar(d, o2 + lanes, from);
  auto s30 = SumSoFar(d, o3, from), s31 = SumSoFar(d, o3 + lanes, from);
  for (size_t k = from; k < to; ++k) {
    const auto b0 = hn::Load(d, packed);
    const auto b1 = hn::Load(d, packed + lanes);
    packed += 2 * lanes;
    const auto x0 = hn::Set(d, a0[k]), x1 = hn::Set(d, a1[k]);
    s00 = hn::Add(s00, hn::Mul(x0, b0));
    s01 = hn::Add(s01, hn::Mul(x0, b1));
    s10 = hn::Add(s10, hn::Mul(x1, b0));
    s11 = hn::Add(s11, hn::Mul(x1, b1));
    const auto x2 = hn::Set(d, a2[k]), x3 = hn::Set(d, a3[k]);
    s20 = hn::Add(s20, hn::Mul(x2, b0));
    s21 = hn::Add(s21, hn::Mul(x2, b1));
    s30 = hn::Add(s30, hn::Mul(x3, b0));
    s31 = hn::Add(s31, hn::Mul(x3, b1));
  }
  hn::StoreU(s00, d, o0);
  hn::StoreU(s01, d, o0 + lanes);
  hn::StoreU(s10, d, o1);
  hn::StoreU(s11, d, o1 + lanes);
  hn::StoreU(s20, d, o2);
  hn::StoreU(s21, d, o2 + lanes);
  hn::StoreU(s30, d, o3);
  hn::StoreU(s31, d, o3 + lanes);
}

// Rows [from, to) of b: of two vectors after the other, row after row.
template <class D>
HWY_INLINE void Pack(D d, const ProductPart& p, size_t end, size_t from, size_t to, float* packed) {
  const size_t lanes = hn::Lanes(d);
  for (size_t col = p.first; col + 2 * lanes <= end; col += 2 * lanes) {
    for (size_t k = from; k < to; ++k) {
      const float* const b = p.b + k * p.cols + col;
      hn::Store(hn::LoadU(d, b), d, packed);
      hn::Store(hn::LoadU(d, b + lanes), d, packed + lanes);
      packed += 2 * lanes;
    }
  }
}

// Columns up to `end`, as many as pairs of vectors have.
template <class D>
HWY_INLINE void Pairs(D d, const ProductPart& p, size_t end) {
  const size_t lanes = hn::Lanes(d);
  HWY_ALIGN float packed[kInnerBlock * kColumnsAPart];
  for (size_t from = 0; from < p.inner; from += kInnerBlock) {
    const size_t to = HWY_MIN(p.inner, from + kInnerBlock);
    Pack(d, p, end, from, to, packed);
    size_t row = 0;
    for (; row + 4 <= p.rows; row += 4) {
      const float* pair = packed;
      for (size_t col = p.first; col + 2 * lanes <= end; col += 2 * lanes) {
        FourByTwo(d, p, pair, row, col, from, to);
        pair += (to - from) * 2 * lanes;
      }
    }
    for (; row < p.rows; ++row) {
      for (size_t col = p.first; col < end; col += lanes) OneByOne(d, p, row, col, from, to);
    }
  }
}

void MultiplyPart(const ProductPart& p) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> single;
  const size_t lanes = hn::Lanes(d);
  const size_t pairs_end = p.first + (p.end - p.first) / (2 * lanes) * (2 * lanes);
  Pairs(d, p, pairs_end);
  for (size_t row = 0; row < p.rows; ++row) {
    size_t col = pairs_end;
    for (; col + lanes <= p.end; col += lanes) OneByOne(d, p, row, col, 0, p.inner);
    for (; col < p.end; ++col) OneByOne(single, p, row, col, 0, p.inner);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {
namespace {

constexpr size_t kTransposedRows = 16;  // of the source: a cache line of the result

int PartsOf(size_t n, size_t part) { return static_cast<int>((n + part - 1) / part); }

}  // namespace

HWY_EXPORT(MultiplyPart);

void MultiplyMatrices(Parallel& parallel, size_t rows, size_t inner, size_t cols, const float* a,
                      const float* b, float* out) {
  parallel.For(PartsOf(cols, kColumnsAPart), [&](int part, int) {
    const size_t first = part * kColumnsAPart;
    HWY_DYNAMIC_DISPATCH(MultiplyPart)
    ({rows, inner, cols, a, b, out, first, std::min(cols, first + kColumnsAPart)});
  });
}

void TransposeMatrix(Parallel& parallel, size_t rows, size_t cols, const float* a, float* out) {
  parallel.For(PartsOf(rows, kTransposedRows), [&](int part, int) {
    const size_t first = part * kTransposedRows;
    const size_t end = std::min(rows, first + kTransposedRows);
    for (size_t col = 0; col < cols; ++col) {
      for (size_t row = first; row < end; ++row) out[col * rows + row] = a[row * cols + col];
    }
  });
}

}  // namespace waferstream
#endif
