#include "plan/shard_squares.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/status.h"

namespace waferstream {

std::vector<ShardSquares> SquaresByShard(const Plan& plan, std::span<const int> tiles,
                                         std::span<const double> square_sums) {
  WS_CHECK(tiles.size() == square_sums.size());
  std::map<int, ExactSum> sums;
  std::map<int, int> non_finite;  // the first such tile, by shard
  for (size_t i = 0; i < tiles.size(); ++i) {
    const int shard = plan.tiles[tiles[i]].shard;
    ExactSum& sum = sums[shard];
    if (std::isfinite(square_sums[i])) {
      sum.Add(square_sums[i]);
    } else {
      const auto at = non_finite.try_emplace(shard, tiles[i]).first;
      at->second = std::min(at->second, tiles[i]);
    }
  }
  std::vector<ShardSquares> all;
  for (const auto& [shard, sum] : sums) {
    ShardSquares& squares = all.emplace_back();
    squares.set_shard(static_cast<uint32_t>(shard));
    squares.set_first_limb(static_cast<uint32_t>(sum.first()));
    squares.mutable_limbs()->Add(sum.limbs().begin(), sum.limbs().end());
    if (non_finite.contains(shard)) squares.set_non_finite_tile(non_finite.at(shard));
  }
  return all;
}

absl::StatusOr<ExactSum> SumOf(const ShardSquares& squares) {
  ExactSum sum;
  RETURN_IF_ERROR(
      sum.Add(squares.first_limb(), std::span(squares.limbs().data(), squares.limbs_size())));
  return sum;
}

}  // namespace waferstream
