#include "wafer_node/kernels/scale.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace waferstream {
namespace {

TEST(ScaleRow, MultipliesAndAdds) {
  const std::vector<float> in = {1, -2, 3, 4, 5}, added = {10, 20, 30, 40, 50};
  std::vector<float> out(5);
  ScaleRow({Dtype::kF32, in.data()}, 5, 0.5, {}, 0, nullptr, Dtype::kF32, out.data());
  EXPECT_EQ(out, (std::vector<float>{0.5, -1, 1.5, 2, 2.5}));
  ScaleRow({Dtype::kF32, in.data()}, 5, 2, {}, 0, added.data(), Dtype::kF32, out.data());
  EXPECT_EQ(out, (std::vector<float>{12, 16, 36, 48, 60}));
}

TEST(ScaleRow, TakesAndGivesBf16) {
  const std::vector<Bf16> in = {ToBf16(1.5f), ToBf16(-3)};
  std::vector<Bf16> out(2);
  ScaleRow({Dtype::kBf16, in.data()}, 2, 3, {}, 0, nullptr, Dtype::kBf16, out.data());
  EXPECT_EQ(ToFloat(out[0]), 4.5f);
  EXPECT_EQ(ToFloat(out[1]), -9.0f);
}

TEST(ScaleRow, DropsItsShareAndKeepsTheMean) {
  const int64_t width = 1001;
  const std::vector<float> ones(width, 1);
  std::vector<float> out(width), again(width);
  int64_t dropped = 0;
  for (uint64_t row = 0; row < 100; ++row) {
    const DropSpec drop{.seed = 3, .stream = 7, .share = 0.25};
    ScaleRow({Dtype::kF32, ones.data()}, width, 1, drop, row, nullptr, Dtype::kF32, out.data());
    ScaleRow({Dtype::kF32, ones.data()}, width, 1, drop, row, nullptr, Dtype::kF32, again.data());
    EXPECT_EQ(out, again);
    for (const float x : out) {
      dropped += x == 0 ? 1 : 0;
      if (x != 0) {
        EXPECT_FLOAT_EQ(x, 1 / 0.75f);
      }
    }
  }
  EXPECT_NEAR(static_cast<double>(dropped) / (100 * width), 0.25, 0.005);
}

TEST(ScaleRow, SeedsStreamsAndRowsDropOthers) {
  const int64_t width = 1000;
  const std::vector<float> ones(width, 1);
  const auto kept = [&](const DropSpec& drop, uint64_t row) {
    std::vector<float> out(width);
    ScaleRow({Dtype::kF32, ones.data()}, width, 1, drop, row, nullptr, Dtype::kF32, out.data());
    return out;
  };
  const auto base = kept({1, 1, 0.5}, 0);
  for (const auto& other : {kept({2, 1, 0.5}, 0), kept({1, 2, 0.5}, 0), kept({1, 1, 0.5}, 1)}) {
    int64_t same = 0;
    for (int64_t i = 0; i < width; ++i) same += base[i] == other[i] ? 1 : 0;
    EXPECT_NEAR(static_cast<double>(same), 500, 80);
  }
}

TEST(ScaleRow, WhatIsDroppedLeavesWhatItIsAddedTo) {
  const std::vector<float> in = {1e30f, 2e30f, 3e30f, 4e30f};
  std::vector<float> sum = {1, 2, 3, 4};
  const std::vector<float> before = sum;
  ScaleRow({Dtype::kF32, in.data()}, 4, 1, {1, 1, 0.999999}, 0, sum.data(), Dtype::kF32,
           sum.data());
  EXPECT_EQ(sum, before);
}

}  // namespace
}  // namespace waferstream
