#include "sim/virtual_fabric.h"

#include <algorithm>

#include "base/hash.h"
#include "base/status.h"

namespace waferstream {

VirtualFabric::VirtualFabric(const Plan& plan, SimWorld* world)
    : plan_(plan), world_(world), wires_(plan.channels.size()) {
  for (const Channel& channel : plan.channels) {
    Wire& tiles = wires_[channel.id][0];
    tiles.sender = channel.up;
    tiles.receiver = channel.down;
    tiles.window = channel.tile_window;
    Wire& gradients = wires_[channel.id][1];
    gradients.sender = channel.down;
    gradients.receiver = channel.up;
    gradients.window = channel.gradient_window;
  }
}

void VirtualFabric::Attach(CoreHost* host) {
  hosts_[{host->self().role, host->self().process}] = host;
}

CoreHost* VirtualFabric::HostOf(const Endpoint& end) const {
  return hosts_.at({end.role, end.process});
}

VirtualFabric::Wire& VirtualFabric::WireFor(ChannelId channel, FrameKind kind) {
  WS_CHECK(kind == FrameKind::kTile || kind == FrameKind::kGradient);
  return wires_.at(channel)[kind == FrameKind::kTile ? 0 : 1];
}

int64_t VirtualFabric::NextArrival(int64_t& last_ns) {
  last_ns = std::max(last_ns, world_->queue.now_ns()) + world_->delays.NextNs();
  return last_ns;
}

void VirtualFabric::Send(CoreHost* from, const SendAction& send) {
  Wire& wire = WireFor(send.channel, send.header.kind);
  WS_CHECK(HostOf(wire.sender) == from);
  const SlotClass slot = plan_.tiles.at(send.header.tile).slot;
  WS_CHECK(wire.credit.Has(slot));
  wire.credit.Spend(slot);
  SendAction numbered = send;
  numbered.header.sequence = wire.frames++;
  const uint64_t payload_hash = Hash64(send.payload, send.header.length);
  world_->queue.At(NextArrival(wire.last_arrival_ns), [this, &wire, numbered, payload_hash] {
    Deliver(wire, numbered, payload_hash);
  });
}

void VirtualFabric::Deliver(Wire& wire, const SendAction& send, uint64_t payload_hash) {
  const auto check_payload = [send, payload_hash] {
    WS_CHECK(Hash64(send.payload, send.header.length) == payload_hash);
  };
  check_payload();
  int& granted = wire.granted[plan_.tiles[send.header.tile].slot];
  WS_CHECK(granted > 0);
  --granted;
  HostOf(wire.receiver)->Receive(send.channel, send.header, send.payload);
  world_->queue.After(world_->delays.NextNs(), [this, &wire, send, check_payload] {
    check_payload();
    HostOf(wire.sender)->Sent(send.token);
  });
}

void VirtualFabric::Grant(CoreHost* from, const GrantAction& grant) {
  Wire& wire = WireFor(grant.channel, grant.kind);
  WS_CHECK(HostOf(wire.receiver) == from);
  for (int c = 0; c < kSlotClasses; ++c) {
    wire.granted[c] += grant.credit.slots[c];
    WS_CHECK(grant.credit.slots[c] >= 0 && wire.granted[c] <= wire.window.slots[c]);
  }
  world_->queue.At(NextArrival(wire.last_credit_ns), [this, &wire, grant] {
    wire.credit.Add(grant.credit);
    HostOf(wire.sender)->Credited(grant.channel, grant.kind, grant.credit);
  });
}

}  // namespace waferstream
