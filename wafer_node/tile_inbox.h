// Where streamed tiles arrive: the receive slots of every plane, and what is expected next.
//
// The tiles of each plane come in plan order, pass after pass, each into a free slot; a slot is
// granted again when its tile is released. Read-ahead needs nothing special: while one pass is
// computed, the cursor of a plane may already stand in the next one, as far as slots allow.
//
// A frame that is not exactly the expected one is refused: plan order is what makes a header
// redundant, and so a check.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "fabric/frame.h"
#include "node/role_core.h"
#include "plan/pass.h"
#include "plan/plan.h"
#include "wafer_node/address_book.h"

namespace waferstream {

class TileInbox {
 public:
  // `first` is the first pass of the epoch. Keeps references to plan and addresses.
  TileInbox(const Plan& plan, int wafer, uint32_t epoch, std::optional<Pass> first,
            const AddressBook& at);

  // The whole window of every plane.
  void GrantAll(Turn& turn) const;

  // INVALID_ARGUMENT: not what comes next on this channel. FAILED_PRECONDITION: no slot was granted
  // for it.
  absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId channel, const FrameHeader& header);
  void OnFrame(ChannelId channel);

  // Passes are counted from 0, the first one of the epoch.
  bool Has(uint64_t pass_number, int position) const;
  const std::byte* Data(uint64_t pass_number, int position) const;
  // Frees the slots of tiles that are here, and grants them again.
  void Release(uint64_t pass_number, const std::vector<int>& positions, Turn& turn);

  uint64_t bytes_received() const { return bytes_received_; }

 private:
  struct Slot {
    int plane = 0;
    SlotClass slot = kSmall;
    int index = 0;
  };
  // What is expected next on a plane.
  struct Lane {
    ChannelId channel = 0;
    std::optional<Pass> pass;  // nullopt: the job is over
    uint64_t pass_number = 0;
    size_t next = 0;  // index into positions_ of (pass's stream, plane)
    std::vector<int> free[kSlotClasses];
    std::optional<Slot> receiving;  // between BufferFor and OnFrame
  };

  Lane* LaneOf(ChannelId channel);
  const std::vector<int>& PositionsOf(const Lane& lane, int plane) const;
  void SkipEmptyPasses(Lane& lane, int plane) const;
  FrameHeader Expected(const Lane& lane, int plane) const;
  std::byte* AddressOf(const Slot& slot) const;

  const Plan& plan_;
  const AddressBook& at_;
  const uint32_t epoch_;
  std::vector<Lane> lanes_;  // by plane
  // Positions of each plane's tiles, in the forward and in the backward stream.
  std::vector<std::vector<int>> forward_positions_;
  std::vector<std::vector<int>> backward_positions_;
  absl::flat_hash_map<std::pair<uint64_t, int>, Slot> here_;  // by (pass number, position)
  uint64_t bytes_received_ = 0;
};

}  // namespace waferstream
