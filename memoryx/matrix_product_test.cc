#include "memoryx/matrix_product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <vector>

#include "base/worker_pool.h"

namespace waferstream {
namespace {

std::vector<float> Numbers(size_t n, float phase) {
  std::vector<float> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = std::sin(phase + 1.7f * static_cast<float>(i));
  return x;
}

// The definition, as a loop of scalars.
std::vector<float> Naive(size_t rows, size_t inner, size_t cols, const std::vector<float>& a,
                         const std::vector<float>& b) {
  std::vector<float> out(rows * cols);
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < cols; ++j) {
      float sum = 0;
      for (size_t k = 0; k < inner; ++k) sum += a[i * inner + k] * b[k * cols + j];
      out[i * cols + j] = sum;
    }
  }
  return out;
}

// Sizes around four rows, a vector, two, a part, and a block of the inner index; one thread and
// three.
TEST(MatrixProduct, EveryBitIsTheNaiveLoops) {
  Serial serial;
  WorkerPool pool(3);
  for (const size_t rows : {1, 4, 7}) {
    for (const size_t inner : {1, 3, 255, 256, 257, 513}) {
      for (const size_t cols : {1, 4, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130}) {
        const std::vector<float> a = Numbers(rows * inner, 0.1f), b = Numbers(inner * cols, 2);
        const std::vector<float> want = Naive(rows, inner, cols, a, b);
        std::vector<float> out(rows * cols, NAN);
        MultiplyMatrices(serial, rows, inner, cols, a.data(), b.data(), out.data());
        EXPECT_EQ(out, want) << rows << " " << inner << " " << cols;
        out.assign(rows * cols, NAN);
        MultiplyMatrices(pool, rows, inner, cols, a.data(), b.data(), out.data());
        EXPECT_EQ(out, want) << rows << " " << inner << " " << cols << ", threads";
      }
    }
  }
}

TEST(MatrixProduct, Transposes) {
  WorkerPool pool(3);
  for (const size_t rows : {1, 15, 16, 17, 40}) {
    for (const size_t cols : {1, 2, 33}) {
      const std::vector<float> a = Numbers(rows * cols, 0);
      std::vector<float> out(rows * cols, NAN);
      TransposeMatrix(pool, rows, cols, a.data(), out.data());
      for (size_t i = 0; i < rows; ++i) {
        for (size_t j = 0; j < cols; ++j) EXPECT_EQ(out[j * rows + i], a[i * cols + j]);
      }
    }
  }
}

}  // namespace
}  // namespace waferstream
