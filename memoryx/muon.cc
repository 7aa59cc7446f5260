#include "memoryx/muon.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "memoryx/matrix_product.h"
#include "memoryx/optimizer_kernels.h"
#include "memoryx/tile_math.h"

namespace waferstream {
namespace {

// A singular value x becomes a x + b x^3 + c x^5.
constexpr float kA = 3.4445f, kB = -4.7750f, kC = 2.0315f;
constexpr int kSteps = 5;
constexpr double kNormMin = 1e-7;

void Scale(Parallel& parallel, float factor, size_t n, float* x) {
  ForPieces(parallel, n, [&](size_t at, size_t count) {
    for (size_t i = at; i < at + count; ++i) x[i] *= factor;
  });
}

// squared = a + b gram + c squared, of n x n.
void MakePolynomial(Parallel& parallel, size_t n, const float* gram, float* squared) {
  ForPieces(parallel, n * n, [&](size_t at, size_t count) {
    for (size_t i = at; i < at + count; ++i) squared[i] = kB * gram[i] + kC * squared[i];
  });
  for (size_t i = 0; i < n; ++i) squared[i * n + i] += kA;
}

}  // namespace

float* Orthogonalise(Parallel& parallel, size_t rows, size_t cols, float* matrix,
                     float* workspace) {
  float* x = matrix;
  float* other = workspace;
  float* const gram = workspace + rows * cols;
  float* const polynomial = gram + rows * rows;
  const double norm = std::sqrt(SquareSumOfTile(parallel, x, rows * cols));
  Scale(parallel, static_cast<float>(1 / std::max(norm, kNormMin)), rows * cols, x);
  for (int step = 0; step < kSteps; ++step) {
    TransposeMatrix(parallel, rows, cols, x, other);
    MultiplyMatrices(parallel, rows, cols, rows, x, other, gram);
    MultiplyMatrices(parallel, rows, rows, rows, gram, gram, polynomial);
    MakePolynomial(parallel, rows, gram, polynomial);
    MultiplyMatrices(parallel, rows, rows, cols, polynomial, x, other);
    std::swap(x, other);
  }
  return x;
}

void ApplyMuon(const Muon& muon, const StepUpdate& update, const TileArrays& tile,
               Parallel& parallel) {
  const size_t rows = tile.rows, cols = tile.elements / tile.rows;
  const bool tall = rows > cols;
  float* const first = tile.workspace;
  float* const second = first + tile.elements;
  const MuonFactors f = {static_cast<float>(update.clip_factor),
                         static_cast<float>(muon.momentum()),
                         static_cast<float>(1 - muon.momentum())};
  float* const direction = tall ? second : first;
  ForPieces(parallel, tile.elements, [&](size_t at, size_t n) {
    MoveMomentum(f, n, tile.gradient + at, tile.Floats(0) + at, direction + at);
  });
  if (tall) TransposeMatrix(parallel, rows, cols, second, first);
  float* step = Orthogonalise(parallel, std::min(rows, cols), std::max(rows, cols), first, second);
  if (tall) {
    float* const turned = step == first ? second : first;
    TransposeMatrix(parallel, cols, rows, step, turned);
    step = turned;
  }
  const double decay = tile.decayed ? muon.weight_decay() : 0;
  const auto keep = static_cast<float>(1 - update.learning_rate * decay);
  const double ratio = static_cast<double>(rows) / static_cast<double>(cols);
  const auto step_size = static_cast<float>(update.learning_rate * std::sqrt(std::max(1.0, ratio)));
  ForPieces(parallel, tile.elements,
            [&](size_t at, size_t n) { Step(keep, step_size, n, step + at, tile.weights + at); });
}

}  // namespace waferstream
