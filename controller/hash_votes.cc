#include "controller/hash_votes.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace waferstream {

std::optional<uint32_t> HashVotes::Disputed() const {
  for (const auto& [micro_batch, votes] : votes_) {
    const uint64_t first = votes.begin()->second;
    const bool agree = std::all_of(votes.begin(), votes.end(),
                                   [&](const auto& vote) { return vote.second == first; });
    if (!agree) return micro_batch;
  }
  return std::nullopt;
}

Votes HashVotes::Of(uint32_t micro_batch) const {
  const auto at = votes_.find(micro_batch);
  return at == votes_.end() ? Votes() : at->second;
}

std::optional<uint64_t> Majority(const Votes& votes) {
  std::map<uint64_t, size_t> counts;
  for (const auto& [node_id, hash] : votes) ++counts[hash];
  for (const auto& [hash, count] : counts) {
    if (count >= 2 && 2 * count > votes.size()) return hash;
  }
  return std::nullopt;
}

std::string Describe(const Votes& votes) {
  return absl::StrJoin(votes, ", ", [](std::string* out, const auto& vote) {
    absl::StrAppendFormat(out, "%s %016x", vote.first, vote.second);
  });
}

}  // namespace waferstream
