#include "swarmx/tile_relay.h"

#include <algorithm>

#include "base/status.h"

namespace waferstream {
namespace {

// Which tiles a parent sends: a MemoryX process its own, a SwarmX node all of the plane.
int PrimaryOf(const Endpoint& up) { return up.role == MEMORYX ? up.process : TileCursor::kAnyone; }

}  // namespace

size_t TileRelay::ResidentBytes(const Plan& plan, const TreeNode& node) {
  return ReceiveWindows::Bytes(plan, FrameKind::kTile, node.up_channels);
}

TileRelay::TileRelay(const Plan& plan, const TreeNode& node, uint32_t epoch, uint64_t start_step,
                     uint64_t token_base, std::span<std::byte> memory, TrafficCounters* traffic)
    : plan_(plan),
      token_base_(token_base),
      traffic_(traffic),
      slots_(plan, FrameKind::kTile, node.up_channels, memory),
      sends_left_(slots_.size(), 0),
      lends_(slots_.size(), false),
      next_(plan, node.plane, TileCursor::kAnyone, epoch, start_step) {
  for (const int id : node.up_channels) {
    const int primary = PrimaryOf(plan.channels[id].up);
    parents_.push_back({TileCursor(plan, node.plane, primary, epoch, start_step), {}, {}});
    for (int c = 0; c < kSlotClasses; ++c) {
      parents_.back().lending.may[c] = plan.channels[id].tile_window.slots[c] - 1;
    }
  }
  for (const int id : node.down_channels) children_.push_back({id, {}, 0});
}

absl::StatusOr<std::span<std::byte>> TileRelay::BufferFor(ChannelId channel,
                                                          const FrameHeader& header) {
  const int port = slots_.PortOf(channel);
  Parent& parent = parents_[port];
  WS_CHECK(!parent.receiving);
  if (parent.due.done()) return absl::InvalidArgumentError("a tile after the last one of the job");
  RETURN_IF_ERROR(CheckExpected(parent.due.Header(), header));
  ASSIGN_OR_RETURN(const int slot, slots_.Take(port, parent.due.tile()));
  parent.due.Advance();
  parent.receiving = slot;
  return std::span(slots_.bytes(slot), header.length);
}

void TileRelay::OnFrame(ChannelId channel, const FrameHeader& header, const std::byte* payload,
                        Turn& turn) {
  Parent& parent = parents_[slots_.PortOf(channel)];
  WS_CHECK(parent.receiving);
  slots_.Arrived(*parent.receiving, header, payload);
  parent.arrived.push_back(*parent.receiving);
  parent.receiving.reset();
  Order();
  Send(turn);
}

void TileRelay::Order() {
  while (!next_.done()) {
    const int port = parents_.size() == 1 ? 0 : plan_.Primary(next_.tile());
    Parent& parent = parents_[port];
    if (parent.arrived.empty()) return;
    const int slot = parent.arrived.front();
    parent.arrived.pop_front();
    sends_left_[slot] = static_cast<int>(children_.size());
    lends_[slot] = Lend(slot);
    stream_.push_back({slot, next_.Header()});
    traffic_->set_weight_bytes_in(traffic_->weight_bytes_in() + stream_.back().header.length);
    next_.Advance();
  }
}

void TileRelay::Send(Turn& turn) {
  uint64_t behind = stream_first_ + stream_.size();
  for (Child& child : children_) {
    SendTo(child, turn);
    behind = std::min(behind, child.next);
  }
  for (; stream_first_ < behind; ++stream_first_) stream_.pop_front();
}

void TileRelay::SendTo(Child& child, Turn& turn) {
  for (; child.next < stream_first_ + stream_.size(); ++child.next) {
    const InStream& tile = stream_[child.next - stream_first_];
    const SlotClass slot_class = slots_.slot_class(tile.slot);
    if (!child.credit.Has(slot_class)) return;
    child.credit.Spend(slot_class);
    turn.actions.push_back(SendAction{child.channel, tile.header, slots_.payload(tile.slot),
                                      token_base_ + static_cast<uint64_t>(tile.slot),
                                      lends_[tile.slot]});
    traffic_->set_weight_bytes_out(traffic_->weight_bytes_out() + tile.header.length);
  }
}

void TileRelay::OnCredit(ChannelId channel, const Credit& credit, Turn& turn) {
  for (Child& child : children_) {
    if (child.channel == channel) child.credit.Add(credit);
  }
  Send(turn);
}

void TileRelay::OnSent(int slot, Turn& turn) {
  WS_CHECK(sends_left_[slot] > 0);
  if (--sends_left_[slot] > 0) return;
  EndLending(slot);
  slots_.Release(slot, turn);
}

bool TileRelay::Lend(int slot) {
  Lending& lending = parents_[slots_.port(slot)].lending;
  const SlotClass slot_class = slots_.slot_class(slot);
  if (lending.lent[slot_class] >= lending.may[slot_class]) return false;
  ++lending.lent[slot_class];
  return true;
}

void TileRelay::EndLending(int slot) {
  if (lends_[slot]) --parents_[slots_.port(slot)].lending.lent[slots_.slot_class(slot)];
  lends_[slot] = false;
}

}  // namespace waferstream
