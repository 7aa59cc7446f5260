// How a wafer's ops are cut into units of parallel work. Fixed numbers: the partition, and with it
// the bits of the result, must not depend on the number of threads. So they are part of the
// numerics, and of the SRAM layout.
#pragma once

#include <algorithm>
#include <cstdint>

namespace waferstream {

// Rows (tokens) of a micro-batch in one unit of a product or an elementwise op.
inline constexpr int64_t kUnitRows = 256;

// Rows of a tile in one unit of its gradient.
inline constexpr int64_t kGradientRows = 256;

// Tokens whose probabilities exist at once in the head's backward. A multiple of kUnitRows.
inline constexpr int64_t kHeadRows = 512;
static_assert(kHeadRows % kUnitRows == 0);

// Ids whose logits one unit makes at a time.
inline constexpr int64_t kHeadColumns = 1024;

// Rows [first, first + count), of a micro-batch or of a parameter.
struct RowSpan {
  int64_t first = 0;
  int64_t count = 0;
};

constexpr int64_t SpanCount(int64_t rows, int64_t step) { return (rows + step - 1) / step; }

// The i-th span of `step` rows of `rows`; the last one may be shorter.
constexpr RowSpan SpanAt(int64_t rows, int64_t step, int64_t i) {
  return {i * step, std::min(step, rows - i * step)};
}

}  // namespace waferstream
