#include "wafer_node/tile_inbox.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

// As the slots are, which kernels were made for.
constexpr size_t kTileAlignment = 64;

}  // namespace

TileInbox::TileInbox(const Plan& plan, int wafer, uint32_t epoch, uint64_t start_step,
                     const AddressBook& at, bool in_place)
    : plan_(plan), at_(at), in_place_(in_place) {
  const int planes = static_cast<int>(plan.job.cluster().planes());
  for (int plane = 0; plane < planes; ++plane) {
    lanes_.push_back({.cursor = {plan, plane, TileCursor::kAnyone, epoch, start_step}});
  }
  for (const Channel& channel : plan.channels) {
    if (channel.down.role != WAFER || channel.down.process != wafer) continue;
    Lane& lane = lanes_[channel.plane];
    lane.channel = channel.id;
    for (int s = 0; s < kSlotClasses; ++s) {
      for (int i = channel.tile_window.slots[s] - 1; i >= 0; --i) lane.free[s].push_back(i);
    }
  }
  const auto place = [&](const std::vector<int>& stream) {
    std::vector<uint64_t> tiles(planes, 0);
    std::vector<Place> places;
    for (int tile : stream) {
      const int plane = plan.tiles[tile].plane;
      places.push_back({plane, tiles[plane]++});
    }
    return places;
  };
  forward_ = place(plan.program.forward_stream);
  backward_ = place(plan.program.backward_stream);
}

void TileInbox::GrantAll(Turn& turn) const {
  for (const Lane& lane : lanes_) {
    Credit credit;
    for (int s = 0; s < kSlotClasses; ++s) credit.slots[s] = static_cast<int>(lane.free[s].size());
    turn.actions.push_back(GrantAction{lane.channel, FrameKind::kTile, credit});
  }
}

TileInbox::Lane& TileInbox::LaneOf(ChannelId channel) {
  const auto lane = std::find_if(lanes_.begin(), lanes_.end(),
                                 [&](const Lane& l) { return l.channel == channel; });
  WS_CHECK(lane != lanes_.end());
  return *lane;
}

absl::StatusOr<std::span<std::byte>> TileInbox::BufferFor(ChannelId channel,
                                                          const FrameHeader& header) {
  Lane& lane = LaneOf(channel);
  WS_CHECK(!lane.receiving.has_value());
  if (lane.cursor.done()) {
    return absl::InvalidArgumentError(
        absl::StrCat("got ", Describe(header), " after the last tile of the job"));
  }
  RETURN_IF_ERROR(CheckExpected(lane.cursor.Header(), header));
  const Tile& tile = plan_.tiles[header.tile];
  std::vector<int>& free = lane.free[tile.slot];
  if (free.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(Describe(header), " came without credit for it"));
  }
  lane.receiving = Slot{tile.slot, free.back()};
  free.pop_back();
  return std::span<std::byte>(AddressOf(tile.plane, *lane.receiving), header.length);
}

void TileInbox::OnFrame(ChannelId channel, const FrameHeader& header, const std::byte* payload,
                        Turn& turn) {
  Lane& lane = LaneOf(channel);
  WS_CHECK(lane.receiving.has_value());
  const Tile& tile = plan_.tiles[header.tile];
  bytes_received_ += header.length;
  Here here = {.slot = *std::exchange(lane.receiving, std::nullopt), .data = payload};
  std::byte* const own = AddressOf(tile.plane, here.slot);
  const bool aligned = reinterpret_cast<uintptr_t>(payload) % kTileAlignment == 0;
  if (payload != own && in_place_ && aligned) {
    here.lent = header.sequence;
  } else if (payload != own) {
    std::copy_n(payload, header.length, own);
    here.data = own;
    turn.actions.push_back(ReturnAction{channel, FrameKind::kTile, header.sequence});
  }
  lane.here[lane.received++] = here;
  lane.cursor.Advance();
}

bool TileInbox::Has(PassKind kind, int position) const {
  const Place& place = PlacesOf(kind)[position];
  const Lane& lane = lanes_[place.plane];
  return lane.ended + place.ordinal < lane.received;
}

const std::byte* TileInbox::Data(PassKind kind, int position) const {
  const Place& place = PlacesOf(kind)[position];
  const Lane& lane = lanes_[place.plane];
  return lane.here.at(lane.ended + place.ordinal).data;
}

void TileInbox::Release(PassKind kind, const std::vector<int>& positions, Turn& turn) {
  std::vector<Credit> credits(lanes_.size());
  for (int position : positions) {
    const Place& place = PlacesOf(kind)[position];
    Lane& lane = lanes_[place.plane];
    const auto tile = lane.here.find(lane.ended + place.ordinal);
    WS_CHECK(tile != lane.here.end());
    const auto& [slot, data, lent] = tile->second;
    if (lent) turn.actions.push_back(ReturnAction{lane.channel, FrameKind::kTile, *lent});
    lane.free[slot.slot].push_back(slot.index);
    ++credits[place.plane].slots[slot.slot];
    lane.here.erase(tile);
  }
  for (size_t plane = 0; plane < lanes_.size(); ++plane) {
    const Credit& credit = credits[plane];
    if (credit.slots[kSmall] + credit.slots[kLarge] == 0) continue;
    turn.actions.push_back(GrantAction{lanes_[plane].channel, FrameKind::kTile, credit});
  }
}

void TileInbox::EndPass(PassKind kind) {
  for (const Place& place : PlacesOf(kind)) {
    Lane& lane = lanes_[place.plane];
    WS_CHECK(!lane.here.contains(lane.ended));
    ++lane.ended;
  }
}

std::byte* TileInbox::AddressOf(int plane, const Slot& slot) const {
  const SramBuffer buffer =
      slot.slot == kSmall ? SramBuffer::kReceiveSmall : SramBuffer::kReceiveLarge;
  return at_.Part(buffer, slot.index, plane).data();
}

}  // namespace waferstream
