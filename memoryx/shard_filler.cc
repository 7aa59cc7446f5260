#include "memoryx/shard_filler.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "core/stream_cursor.h"

namespace waferstream {

ShardFiller::ShardFiller(const Plan& plan, const MemoryxPlace& place, const TileStore& store,
                         TileUpdates& updates, LaneQueue& lanes)
    : plan_(plan), place_(place), store_(store), updates_(updates), lanes_(lanes) {
  for (const Channel& channel : plan.channels) {
    if (channel.kind != ChannelKind::kCopy || channel.down.process != place.process) continue;
    const size_t filled = place.FilledTiles(channel.shard, place.process);
    ports_.push_back({.channel = channel.id,
                      .shard = channel.shard,
                      .tiles = store.LocalsOf(channel.shard),
                      .next = filled,
                      .landed = filled,
                      .version = std::nullopt});
  }
}

ShardFiller::Port& ShardFiller::PortOf(ChannelId channel) {
  const auto port = std::find_if(ports_.begin(), ports_.end(),
                                 [&](const Port& p) { return p.channel == channel; });
  WS_CHECK(port != ports_.end());
  return *port;
}

void ShardFiller::Start(Turn& turn) {
  for (const Port& port : ports_) {
    const Credit& window = plan_.channels[port.channel].tile_window;
    turn.actions.push_back(GrantAction{port.channel, FrameKind::kTile, window});
    ReportIfFilled(port, turn);  // a shard may have no tiles
  }
}

absl::StatusOr<std::span<std::byte>> ShardFiller::BufferFor(ChannelId channel,
                                                            const FrameHeader& header) {
  Port& port = PortOf(channel);
  WS_CHECK(!port.version);
  if (port.next == port.tiles.size()) {
    return absl::InvalidArgumentError("a copy after the shard's last tile");
  }
  const HeldTile& tile = store_.tile(port.tiles[port.next]);
  FrameHeader due;
  due.kind = FrameKind::kTile;
  due.dtype = static_cast<uint8_t>(Dtype::kF32);
  due.epoch = place_.epoch;
  due.step = header.step;
  due.tile = static_cast<uint32_t>(tile.tile());
  due.length = tile.bytes().size();
  RETURN_IF_ERROR(CheckExpected(due, header));
  const uint64_t committed = updates_.committed();
  if (header.step < place_.start_step || header.step + 1 < committed ||
      header.step > committed + 1) {
    return absl::InvalidArgumentError(absl::StrCat("got a copy of tile ", header.tile, " of step ",
                                                   header.step, " after ", committed, " commits"));
  }
  port.version = header.step;
  return tile.bytes();
}

int ShardFiller::OnFrame(ChannelId channel, Turn& turn) {
  Port& port = PortOf(channel);
  WS_CHECK(port.version);
  const uint64_t version = *port.version;
  port.version.reset();
  const int local = port.tiles[port.next++];
  updates_.Fill(local, version);
  const auto stamp = [&tile = store_.tile(local), version](Parallel& parallel) {
    tile.Stamp(version, parallel);
    return absl::OkStatus();
  };
  const auto done = [this, &port, local](const absl::Status& status, Turn& turn) {
    OnLanded(port, plan_.tiles[store_.tiles()[local]].slot, turn);
    return status;
  };
  lanes_.Run(Lane::kCompute, "stamp a copy", stamp, done, turn);
  return local;
}

void ShardFiller::OnLanded(Port& port, SlotClass slot, Turn& turn) {
  Credit credit;
  credit.slots[slot] = 1;
  turn.actions.push_back(GrantAction{port.channel, FrameKind::kTile, credit});
  ++port.landed;
  ReportProgress(port, turn);
  ReportIfFilled(port, turn);
}

void ShardFiller::ReportProgress(const Port& port, Turn& turn) const {
  const size_t tiles = port.tiles.size();
  const auto reports = [&](size_t landed) { return landed * kReportsAShard / tiles; };
  if (port.landed == tiles || reports(port.landed) == reports(port.landed - 1)) return;
  ReportAction action;
  action.report.mutable_shard_filling()->set_shard(static_cast<uint32_t>(port.shard));
  action.report.mutable_shard_filling()->set_tiles(port.landed);
  turn.actions.push_back(std::move(action));
}

void ShardFiller::ReportIfFilled(const Port& port, Turn& turn) const {
  if (port.landed < port.tiles.size()) return;
  ReportAction action;
  action.report.mutable_shard_filled()->set_shard(static_cast<uint32_t>(port.shard));
  turn.actions.push_back(std::move(action));
}

}  // namespace waferstream
