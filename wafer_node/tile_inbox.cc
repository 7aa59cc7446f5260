#include "wafer_node/tile_inbox.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

std::vector<std::vector<int>> ByPlane(const Plan& plan, const std::vector<int>& stream) {
  std::vector<std::vector<int>> positions(plan.job.cluster().planes());
  for (size_t i = 0; i < stream.size(); ++i) {
    positions[plan.tiles[stream[i]].plane].push_back(static_cast<int>(i));
  }
  return positions;
}

bool SameTile(const FrameHeader& a, const FrameHeader& b) {
  return a.kind == b.kind && a.dtype == b.dtype && a.pass == b.pass && a.epoch == b.epoch &&
         a.step == b.step && a.wave == b.wave && a.tile == b.tile && a.length == b.length;
}

}  // namespace

TileInbox::TileInbox(const Plan& plan, int wafer, uint32_t epoch, std::optional<Pass> first,
                     const AddressBook& at)
    : plan_(plan),
      at_(at),
      epoch_(epoch),
      lanes_(plan.job.cluster().planes()),
      forward_positions_(ByPlane(plan, plan.program.forward_stream)),
      backward_positions_(ByPlane(plan, plan.program.backward_stream)) {
  for (const Channel& channel : plan.channels) {
    if (channel.down.role != WAFER || channel.down.process != wafer) continue;
    Lane& lane = lanes_[channel.plane];
    lane.channel = channel.id;
    lane.pass = first;
    for (int s = 0; s < kSlotClasses; ++s) {
      for (int i = channel.tile_window.slots[s] - 1; i >= 0; --i) lane.free[s].push_back(i);
    }
    SkipEmptyPasses(lane, channel.plane);
  }
}

void TileInbox::GrantAll(Turn& turn) const {
  for (const Lane& lane : lanes_) {
    Credit credit;
    for (int s = 0; s < kSlotClasses; ++s) credit.slots[s] = static_cast<int>(lane.free[s].size());
    turn.actions.push_back(GrantAction{lane.channel, FrameKind::kTile, credit});
  }
}

TileInbox::Lane* TileInbox::LaneOf(ChannelId channel) {
  for (Lane& lane : lanes_) {
    if (lane.channel == channel) return &lane;
  }
  return nullptr;
}

const std::vector<int>& TileInbox::PositionsOf(const Lane& lane, int plane) const {
  return lane.pass->kind == PassKind::kBackward ? backward_positions_[plane]
                                                : forward_positions_[plane];
}

// Moves on to the next pass that has a tile for this plane.
void TileInbox::SkipEmptyPasses(Lane& lane, int plane) const {
  while (lane.pass.has_value() && lane.next == PositionsOf(lane, plane).size()) {
    lane.pass = NextPass(plan_, *lane.pass);
    ++lane.pass_number;
    lane.next = 0;
  }
}

FrameHeader TileInbox::Expected(const Lane& lane, int plane) const {
  const int position = PositionsOf(lane, plane)[lane.next];
  const int tile = StreamOf(plan_, lane.pass->kind)[position];
  FrameHeader header;
  header.kind = FrameKind::kTile;
  header.dtype = static_cast<uint8_t>(plan_.wire);
  header.pass = static_cast<uint8_t>(lane.pass->kind);
  header.epoch = epoch_;
  header.step = lane.pass->step;
  header.wave = lane.pass->wave;
  header.tile = static_cast<uint32_t>(tile);
  header.length = plan_.TileBytes(tile);
  return header;
}

absl::StatusOr<std::span<std::byte>> TileInbox::BufferFor(ChannelId channel,
                                                          const FrameHeader& header) {
  Lane* lane = LaneOf(channel);
  WS_CHECK(lane != nullptr && !lane->receiving.has_value());
  const int plane = static_cast<int>(lane - lanes_.data());
  if (!lane->pass.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("got ", Describe(header), " after the last tile of the job"));
  }
  const FrameHeader expected = Expected(*lane, plane);
  if (!SameTile(header, expected)) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected ", Describe(expected), " of ", expected.length, " bytes, got ",
                     Describe(header), " of ", header.length, " bytes"));
  }
  const SlotClass slot = plan_.tiles[header.tile].slot;
  if (lane->free[slot].empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(Describe(header), " came without credit for it"));
  }
  lane->receiving = Slot{plane, slot, lane->free[slot].back()};
  lane->free[slot].pop_back();
  return std::span<std::byte>(AddressOf(*lane->receiving), header.length);
}

void TileInbox::OnFrame(ChannelId channel) {
  Lane* lane = LaneOf(channel);
  WS_CHECK(lane != nullptr && lane->receiving.has_value());
  const int plane = static_cast<int>(lane - lanes_.data());
  const int position = PositionsOf(*lane, plane)[lane->next];
  bytes_received_ += plan_.TileBytes(StreamOf(plan_, lane->pass->kind)[position]);
  here_[{lane->pass_number, position}] = *std::exchange(lane->receiving, std::nullopt);
  ++lane->next;
  SkipEmptyPasses(*lane, plane);
}

bool TileInbox::Has(uint64_t pass_number, int position) const {
  return here_.contains({pass_number, position});
}

const std::byte* TileInbox::Data(uint64_t pass_number, int position) const {
  return AddressOf(here_.at({pass_number, position}));
}

void TileInbox::Release(uint64_t pass_number, const std::vector<int>& positions, Turn& turn) {
  std::vector<Credit> credits(lanes_.size());
  for (int position : positions) {
    const auto it = here_.find({pass_number, position});
    WS_CHECK(it != here_.end());
    const Slot slot = it->second;
    here_.erase(it);
    lanes_[slot.plane].free[slot.slot].push_back(slot.index);
    ++credits[slot.plane].slots[slot.slot];
  }
  for (size_t plane = 0; plane < lanes_.size(); ++plane) {
    const Credit& credit = credits[plane];
    if (credit.slots[kSmall] + credit.slots[kLarge] == 0) continue;
    turn.actions.push_back(GrantAction{lanes_[plane].channel, FrameKind::kTile, credit});
  }
}

std::byte* TileInbox::AddressOf(const Slot& slot) const {
  const SramBuffer buffer =
      slot.slot == kSmall ? SramBuffer::kReceiveSmall : SramBuffer::kReceiveLarge;
  return at_.Part(buffer, slot.index, slot.plane).data();
}

}  // namespace waferstream
