#include "data/mixture_order.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/status.h"

namespace waferstream {
namespace {

// How many of a block's samples each file gives: its share rounded down, at least one; what is left
// goes to those that lost the most, the first of equal ones.
std::vector<int64_t> CountsOf(std::span<const double> weights, int64_t block) {
  const double all = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<int64_t> counts;
  std::vector<std::pair<double, size_t>> lost;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double share = weights[i] / all * static_cast<double>(block);
    counts.push_back(std::max<int64_t>(1, static_cast<int64_t>(std::floor(share))));
    lost.push_back({static_cast<double>(counts.back()) - share, i});
  }
  std::stable_sort(lost.begin(), lost.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  int64_t left = block - std::accumulate(counts.begin(), counts.end(), int64_t{0});
  for (size_t i = 0; left > 0; i = (i + 1) % lost.size(), --left) ++counts[lost[i].second];
  // Those that were raised to one sample are paid for by the largest.
  for (; left < 0; ++left) --*std::max_element(counts.begin(), counts.end());
  return counts;
}

}  // namespace

MixtureOrder::MixtureOrder(Shuffle shuffle, uint64_t seed, std::span<const int64_t> samples,
                           std::span<const double> weights) {
  std::vector<int64_t> runs(samples.begin(), samples.end());
  const bool weighs = samples.size() > 1 && !weights.empty();
  if (weighs) {
    WS_CHECK(weights.size() == samples.size() && static_cast<int64_t>(weights.size()) <= kBlock);
    runs = CountsOf(weights, kBlock);
  }
  ends_.resize(runs.size());
  std::partial_sum(runs.begin(), runs.end(), ends_.begin());
  if (!weighs) {
    orders_.emplace_back(shuffle, seed, ends_.back());
    return;
  }
  orders_.emplace_back(SHUFFLE_EPOCH, seed, kBlock, Purpose::kMixture);
  for (size_t file = 0; file < samples.size(); ++file) {
    orders_.emplace_back(shuffle, seed, samples[file], Purpose::kShuffle, file);
  }
}

MixtureOrder::Place MixtureOrder::At(uint64_t n) const {
  const int64_t at = orders_[0].At(n);
  const auto end = std::upper_bound(ends_.begin(), ends_.end(), at);
  const int file = static_cast<int>(end - ends_.begin());
  const int64_t first = file == 0 ? 0 : ends_[file - 1];
  if (orders_.size() == 1) return {file, at - first};
  const uint64_t of_file = n / kBlock * (*end - first) + (at - first);
  return {file, orders_[file + 1].At(of_file)};
}

}  // namespace waferstream
