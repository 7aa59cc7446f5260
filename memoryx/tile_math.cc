#include "memoryx/tile_math.h"

#include <cstring>
#include <numeric>
#include <vector>

#include "base/vector_math.h"

namespace waferstream {

void AddTile(Parallel& parallel, float* dst, const float* src, size_t n) {
  ForPieces(parallel, n, [=](size_t at, size_t count) { Add(dst + at, src + at, count); });
}

void CopyTile(Parallel& parallel, float* dst, const float* src, size_t n) {
  ForPieces(parallel, n, [=](size_t at, size_t count) {
    std::memcpy(dst + at, src + at, count * sizeof(float));
  });
}

void RoundTile(Parallel& parallel, Bf16* dst, const float* src, size_t n) {
  ForPieces(parallel, n,
            [=](size_t at, size_t count) { ConvertToBf16(src + at, dst + at, count); });
}

double SquareSumOfTile(Parallel& parallel, const float* x, size_t n) {
  std::vector<double> sums((n + kPieceElements - 1) / kPieceElements);
  ForPieces(parallel, n,
            [&](size_t at, size_t count) { sums[at / kPieceElements] = SquareSum(x + at, count); });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

}  // namespace waferstream
