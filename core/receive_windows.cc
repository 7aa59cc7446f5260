#include "core/receive_windows.h"

#include <algorithm>
#include <utility>

#include "base/status.h"

namespace waferstream {
namespace {

SlotPool::SlotBytes SlotBytesOf(const Plan& plan, FrameKind kind) {
  WS_CHECK(kind == FrameKind::kTile || kind == FrameKind::kGradient);
  const auto& bytes = kind == FrameKind::kTile ? plan.tile_slot_bytes : plan.gradient_slot_bytes;
  return {bytes[kSmall], bytes[kLarge]};
}

std::vector<Credit> WindowsOf(const Plan& plan, FrameKind kind,
                              const std::vector<ChannelId>& channels) {
  std::vector<Credit> windows;
  for (const ChannelId id : channels) {
    const Channel& channel = plan.channels[id];
    windows.push_back(kind == FrameKind::kTile ? channel.tile_window : channel.gradient_window);
  }
  return windows;
}

}  // namespace

size_t ReceiveWindows::Bytes(const Plan& plan, FrameKind kind,
                             const std::vector<ChannelId>& channels) {
  size_t bytes = 0;
  for (const Credit& window : WindowsOf(plan, kind, channels)) {
    bytes += SlotPool::WindowBytes(window, SlotBytesOf(plan, kind));
  }
  return bytes;
}

ReceiveWindows::ReceiveWindows(const Plan& plan, FrameKind kind, std::vector<ChannelId> channels,
                               std::span<std::byte> memory)
    : plan_(plan),
      kind_(kind),
      channels_(std::move(channels)),
      slots_(WindowsOf(plan, kind, channels_), SlotBytesOf(plan, kind), memory),
      held_(slots_.size()) {}

void ReceiveWindows::Start(Turn& turn) const {
  const std::vector<Credit> windows = WindowsOf(plan_, kind_, channels_);
  for (size_t port = 0; port < windows.size(); ++port) {
    const Credit& window = windows[port];
    if (window.slots[kSmall] + window.slots[kLarge] == 0) continue;
    turn.actions.push_back(GrantAction{channels_[port], kind_, window});
  }
}

int ReceiveWindows::PortOf(ChannelId channel) const {
  const auto at = std::find(channels_.begin(), channels_.end(), channel);
  WS_CHECK(at != channels_.end());
  return static_cast<int>(at - channels_.begin());
}

absl::StatusOr<int> ReceiveWindows::Take(int port, int tile) {
  return slots_.Take(port, plan_.tiles[tile].slot);
}

void ReceiveWindows::Arrived(int slot, const FrameHeader& header, const std::byte* payload) {
  Held& held = held_[slot];
  held.payload = payload;
  held.lent.reset();
  if (payload != slots_.bytes(slot)) held.lent = header.sequence;
}

void ReceiveWindows::Return(int slot, Turn& turn) {
  Held& held = held_[slot];
  held.payload = slots_.bytes(slot);
  if (!held.lent.has_value()) return;
  turn.actions.push_back(ReturnAction{channels_[slots_.port(slot)], kind_, *held.lent});
  held.lent.reset();
}

void ReceiveWindows::Release(int slot, Turn& turn) {
  Return(slot, turn);
  Credit one;
  one.slots[slots_.slot_class(slot)] = 1;
  const ChannelId channel = channels_[slots_.port(slot)];
  slots_.Free(slot);
  turn.actions.push_back(GrantAction{channel, kind_, one});
}

}  // namespace waferstream
