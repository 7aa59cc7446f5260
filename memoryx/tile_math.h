// base/vector_math over a role's threads. The pieces are fixed, so no result depends on the number
// of threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/dtype.h"
#include "base/parallel.h"

namespace waferstream {

// A fraction of an L2 cache; part of the numerics of a square sum.
inline constexpr size_t kPieceElements = size_t{64} * 1024;

// About what a pass over an element takes on one thread, and an update of it, its checksums
// included; for ComputeAction::about_ns.
inline constexpr uint64_t kPassNs = 1;
inline constexpr uint64_t kUpdateNs = 3;

// Calls run(first, count) for fixed pieces of [0, n).
template <class Run>
void ForPieces(Parallel& parallel, size_t n, Run run) {
  if (n <= kPieceElements) return run(size_t{0}, n);  // not worth waking a thread
  const int pieces = static_cast<int>((n + kPieceElements - 1) / kPieceElements);
  parallel.For(pieces, [&](int piece, int) {
    const size_t at = piece * kPieceElements;
    run(at, std::min(kPieceElements, n - at));
  });
}

// dst[i] += src[i].
void AddTile(Parallel& parallel, float* dst, const float* src, size_t n);
void CopyTile(Parallel& parallel, float* dst, const float* src, size_t n);
void RoundTile(Parallel& parallel, Bf16* dst, const float* src, size_t n);
// In double; pieces are added in order.
double SquareSumOfTile(Parallel& parallel, const float* x, size_t n);

}  // namespace waferstream
