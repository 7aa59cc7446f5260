#include "plan/shard_squares.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

// A sum that rounds differently in almost every order.
double SquareSum(int tile) { return std::exp(tile * 0.7) / 7; }

ExactSum SumOn(int memoryx) {
  const Plan plan = *Compile(TestJob(), {.wafers = 1, .memoryx = memoryx, .swarmx = 1});
  ExactSum sum;
  for (int process = 0; process < memoryx; ++process) {
    std::vector<int> tiles;
    std::vector<double> squares;
    for (int tile = 0; tile < static_cast<int>(plan.tiles.size()); ++tile) {
      if (plan.Primary(tile) != process) continue;
      tiles.push_back(tile);
      squares.push_back(SquareSum(tile));
    }
    const std::vector<ShardSquares> reported = SquaresByShard(plan, tiles, squares);
    EXPECT_EQ(reported.size(), 1u);
    for (const ShardSquares& shard : reported) sum.Add(*SumOf(shard));
  }
  return sum;
}

TEST(ShardSquares, AddUpToTheSameOnAnyNumberOfShards) {
  const ExactSum one = SumOn(1);
  EXPECT_GT(one.Rounded(), 0);
  for (const int memoryx : {2, 3, 5}) EXPECT_TRUE(SumOn(memoryx) == one) << memoryx;
}

TEST(ShardSquares, NameTheFirstTileThatIsNotFinite) {
  const Plan plan = *Compile(TestJob(), {});
  const std::vector<ShardSquares> squares = SquaresByShard(
      plan, std::vector<int>{4, 3, 2, 1},
      std::vector<double>{1, std::nan(""), std::numeric_limits<double>::infinity(), 2});
  ASSERT_EQ(squares.size(), 1u);
  EXPECT_EQ(squares[0].non_finite_tile(), 2u);
  EXPECT_EQ(SumOf(squares[0])->Rounded(), 3);
}

TEST(ShardSquares, RefuseWhatIsNoSum) {
  ShardSquares squares;
  squares.set_first_limb(1000);
  EXPECT_EQ(SumOf(squares).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace waferstream
