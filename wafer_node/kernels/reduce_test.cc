#include "wafer_node/kernels/reduce.h"

#include <gtest/gtest.h>

#include <vector>

#include "wafer_node/kernels/reference.h"

namespace waferstream {
namespace {

TEST(ColumnSumTest, AddsRowsInOrder) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    for (int64_t rows : {0, 1, 5, 100}) {
      for (int64_t cols : {0, 1, 15, 33}) {
        const int64_t stride = cols + 3;
        reference::Typed x = reference::Random(dtype, rows * stride, 1, 100);
        std::vector<float> sum(cols, 0.5f), want = sum;
        for (int64_t i = 0; i < rows; ++i) {
          for (int64_t j = 0; j < cols; ++j) want[j] += static_cast<float>(x.at(i * stride + j));
        }
        ColumnSum(dtype, x.data(), rows, cols, stride, sum.data());
        EXPECT_EQ(sum, want);
      }
    }
  }
}

}  // namespace
}  // namespace waferstream
