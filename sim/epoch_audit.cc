#include "sim/epoch_audit.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace waferstream {

EpochAudit::EpochAudit(SimWorld& world, std::string node, const PrepareRequest& request,
                       const PrepareReply& reply, const Plan& plan)
    : world_(world), node_(std::move(node)), request_(request), reply_(reply), plan_(plan) {}

void EpochAudit::OnFrame(ChannelId channel, const FrameHeader& header) {
  world_.Note(node_, "frame ", channel, " tile ", header.tile, " step ", header.step);
  if (request_.role() == MEMORYX && header.kind == FrameKind::kGradient) TakeGradient(header);
}

void EpochAudit::TakeGradient(const FrameHeader& header) {
  auto& ranges = landed_[{header.step, header.tile, header.contribution}];
  const uint32_t first = header.range_lo;
  const uint32_t end =
      std::min(first + (1u << header.range_level), static_cast<uint32_t>(plan_.leaves));
  const auto next = ranges.lower_bound(first);
  const bool overlaps = (next != ranges.end() && next->first < end) ||
                        (next != ranges.begin() && std::prev(next)->second > first);
  if (overlaps) world_.Violate(absl::StrCat(node_, " took twice: ", Describe(header)));
  ranges[first] = end;
}

void EpochAudit::OnReport(const NodeReport& report) {
  if (world_.on_report) world_.on_report(request_, reply_, report);
  if (!report.has_gradients_ready()) return;
  const uint64_t step = report.gradients_ready().step();
  for (uint32_t tile = 0; tile < plan_.tiles.size(); ++tile) {
    if (!plan_.Holds(static_cast<int>(request_.index()), static_cast<int>(tile))) continue;
    int contributions = 0;
    for (auto it = landed_.lower_bound({step, tile, 0});
         it != landed_.end() && std::get<0>(it->first) == step && std::get<1>(it->first) == tile;
         ++it) {
      ++contributions;
      uint32_t leaves = 0;
      for (const auto& [first, end] : it->second) leaves += end - first;
      if (leaves == static_cast<uint32_t>(plan_.leaves)) continue;
      world_.Violate(absl::StrCat(node_, " is ready with step ", step, ", but has ", leaves, " of ",
                                  plan_.leaves, " micro-batches of tile ", tile));
    }
    if (contributions == plan_.parameters[plan_.tiles[tile].parameter].contributions) continue;
    world_.Violate(absl::StrCat(node_, " is ready with step ", step, ", but has ", contributions,
                                " contributions to tile ", tile));
  }
}

}  // namespace waferstream
