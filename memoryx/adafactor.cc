#include "memoryx/adafactor.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/vector_math.h"
#include "memoryx/optimizer_kernels.h"
#include "memoryx/tile_math.h"

namespace waferstream {
namespace {

// PyTorch's eps[0] of fp32.
constexpr float kTiny = std::numeric_limits<float>::epsilon();
constexpr size_t kSegment = 4096;        // directions that are at hand at a time
constexpr size_t kColumnsAtOnce = 1024;  // sums of columns

struct Shape {
  size_t rows;
  size_t cols;
};

// A vector is one row.
Shape ShapeOf(const TileArrays& tile) {
  if (!tile.two_dimensional) return {1, tile.elements};
  return {tile.rows, tile.elements / tile.rows};
}

float MovedTowards(float old, double value, double share) {
  return static_cast<float>(old + share * (value - old));
}

double RootMeanSquare(double square_sum, size_t n) {
  return std::sqrt(square_sum / static_cast<double>(n));
}

// What the moving means of squares take of a step.
struct Moves {
  double square;  // of the clip factor
  double share;
};

void MoveRows(const Moves& moves, const Shape& shape, const float* gradient, float* rows,
              Parallel& parallel) {
  parallel.For(static_cast<int>(shape.rows), [&](int row, int) {
    const double sum = SquareSum(gradient + row * shape.cols, shape.cols);
    const double mean = moves.square * sum / static_cast<double>(shape.cols);
    rows[row] = MovedTowards(rows[row], mean, moves.share);
  });
}

void MoveColumns(const Moves& moves, const Shape& shape, const float* gradient, float* columns,
                 Parallel& parallel) {
  const size_t parts = (shape.cols + kColumnsAtOnce - 1) / kColumnsAtOnce;
  parallel.For(static_cast<int>(parts), [&](int part, int) {
    const size_t first = part * kColumnsAtOnce;
    const size_t count = std::min(kColumnsAtOnce, shape.cols - first);
    std::array<double, kColumnsAtOnce> sums = {};
    for (size_t row = 0; row < shape.rows; ++row) {
      const float* const g = gradient + row * shape.cols + first;
      for (size_t i = 0; i < count; ++i) sums[i] += double{g[i]} * double{g[i]};
    }
    for (size_t i = 0; i < count; ++i) {
      const double mean = moves.square * sums[i] / static_cast<double>(shape.rows);
      columns[first + i] = MovedTowards(columns[first + i], mean, moves.share);
    }
  });
}

// What each row's variances are, divided by its columns': of a vector 1.
std::vector<float> RowFactors(const TileArrays& tile, const Shape& shape) {
  if (!tile.two_dimensional) return {1.0f};
  const float* const rows = tile.Floats(0);
  const double mean = std::accumulate(rows, rows + shape.rows, 0.0) / shape.rows;
  std::vector<float> factors(shape.rows);
  for (size_t i = 0; i < shape.rows; ++i) {
    factors[i] = static_cast<float>(rows[i] / std::max<double>(mean, kTiny));
  }
  return factors;
}

// Calls run(row, first, count) for segments of rows, each row's in order.
template <class Run>
void ForSegments(Parallel& parallel, const Shape& shape, Run run) {
  parallel.For(static_cast<int>(shape.rows), [&](int row, int) {
    for (size_t at = 0; at < shape.cols; at += kSegment) {
      run(row, at, std::min(kSegment, shape.cols - at));
    }
  });
}

}  // namespace

void ApplyAdafactor(const Adafactor& adafactor, const StepUpdate& update, const TileArrays& tile,
                    Parallel& parallel) {
  const Shape shape = ShapeOf(tile);
  const double t = static_cast<double>(update.step) + 1;
  const double rate = std::min(update.learning_rate, 1 / std::sqrt(t));
  const double size =
      RootMeanSquare(SquareSumOfTile(parallel, tile.weights, tile.elements), tile.elements);
  AdafactorFactors f;
  f.clip = static_cast<float>(update.clip_factor);
  const double decay = tile.decayed ? adafactor.weight_decay() : 0;
  f.keep = static_cast<float>(1 - update.learning_rate * decay);
  f.floor = kTiny * kTiny;

  const Moves moves = {double{f.clip} * double{f.clip}, std::pow(t, adafactor.beta2_decay())};
  float* const columns = tile.Floats(tile.two_dimensional ? 1 : 0);
  if (tile.two_dimensional) MoveRows(moves, shape, tile.gradient, tile.Floats(0), parallel);
  MoveColumns(moves, shape, tile.gradient, columns, parallel);
  const std::vector<float> factors = RowFactors(tile, shape);

  std::vector<double> squares(shape.rows);
  ForSegments(parallel, shape, [&](int row, size_t at, size_t n) {
    std::array<float, kSegment> direction;
    const float* const gradient = tile.gradient + row * shape.cols + at;
    AdafactorDirection(f, factors[row], n, gradient, columns + at, direction.data());
    squares[row] += SquareSum(direction.data(), n);
  });
  const double square_sum = std::accumulate(squares.begin(), squares.end(), 0.0);
  const double too_large =
      std::max(1.0, RootMeanSquare(square_sum, tile.elements) / adafactor.clip_threshold());
  f.step_size = static_cast<float>(std::max(adafactor.eps(), size) * rate / too_large);
  ForSegments(parallel, shape, [&](int row, size_t at, size_t n) {
    const size_t first = row * shape.cols + at;
    UpdateAdafactor(f, factors[row], n, tile.gradient + first, columns + at, tile.weights + first);
  });
}

}  // namespace waferstream
