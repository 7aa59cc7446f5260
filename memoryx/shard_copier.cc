#include "memoryx/shard_copier.h"

#include <algorithm>

#include "base/status.h"

namespace waferstream {

ShardCopier::ShardCopier(const Plan& plan, const MemoryxPlace& place, const TileStore& store,
                         TileUpdates& updates, const TileSender& sender, LaneQueue& lanes)
    : plan_(plan),
      epoch_(place.epoch),
      store_(store),
      updates_(updates),
      sender_(sender),
      lanes_(lanes) {
  for (const Channel& channel : plan.channels) {
    if (channel.kind != ChannelKind::kCopy || channel.up.process != place.process) continue;
    ports_.push_back({.channel = channel.id,
                      .tiles = store.LocalsOf(channel.shard),
                      .next = place.FilledTiles(channel.shard, channel.down.process)});
  }
}

void ShardCopier::OnCredit(ChannelId channel, const Credit& credit) {
  const auto port = std::find_if(ports_.begin(), ports_.end(),
                                 [&](const Port& p) { return p.channel == channel; });
  WS_CHECK(port != ports_.end());
  port->credit.Add(credit);
  for (int c = 0; c < kSlotClasses; ++c) {
    if (credit.slots[c] == 0 || !port->at_filler[c]) continue;
    updates_.Unpin(*port->at_filler[c]);
    port->at_filler[c].reset();
  }
}

void ShardCopier::OnSent(uint64_t token) { updates_.Unpin(static_cast<int>(token & 0xffffffff)); }

void ShardCopier::Pump(Turn& turn) {
  for (Port& port : ports_) Advance(port, turn);
}

void ShardCopier::Advance(Port& port, Turn& turn) {
  if (port.busy || port.next == port.tiles.size()) return;
  const int local = port.tiles[port.next];
  const SlotClass slot = plan_.tiles[store_.tiles()[local]].slot;
  const bool on_pace = sender_.streamed() >= copied_ * kStreamedPerCopied || sender_.done();
  if (!port.credit.Has(slot) || !on_pace) return;
  const TileUpdates::State state = updates_.StateOf(local);
  if (state == TileUpdates::State::kWaiting) return;
  port.busy = true;
  if (state == TileUpdates::State::kDue) {
    return updates_.Run(
        local, lanes_, [&port] { port.busy = false; }, turn);
  }
  ++port.next;
  ++copied_;
  port.credit.Spend(slot);
  port.at_filler[slot] = local;
  updates_.Pin(local);  // until the slot is granted back
  updates_.Pin(local);  // until the fabric has read it
  const auto check = [&tile = store_.tile(local)](Parallel& parallel) {
    return tile.Check(parallel);
  };
  const auto done = [this, &port, local](const absl::Status& status, Turn& turn) {
    RETURN_IF_ERROR(status);
    port.busy = false;
    Send(port, local, turn);
    return absl::OkStatus();
  };
  lanes_.Run(Lane::kCompute, "check before a copy", check, done, turn);
}

void ShardCopier::Send(Port& port, int local, Turn& turn) {
  const std::span<const std::byte> bytes = store_.tile(local).bytes();
  FrameHeader header;
  header.kind = FrameKind::kTile;
  header.dtype = static_cast<uint8_t>(Dtype::kF32);
  header.epoch = epoch_;
  header.step = updates_.version(local);
  header.tile = static_cast<uint32_t>(store_.tiles()[local]);
  header.length = bytes.size();
  const uint64_t token =
      kCopyToken | static_cast<uint64_t>(port.channel) << 32 | static_cast<uint32_t>(local);
  turn.actions.push_back(SendAction{port.channel, header, bytes.data(), token});
}

}  // namespace waferstream
