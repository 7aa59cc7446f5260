// Where streamed tiles arrive: the receive slots of every plane, and what is expected next.
//
// The tiles of each plane come in plan order, pass after pass, each into a free slot; a slot is
// granted again when its tile is released. Read-ahead needs nothing special: while one pass is
// computed, the cursor of a plane may already stand in the next one, as far as slots allow.
//
// A frame that is not exactly the expected one is refused: plan order is what makes a header
// redundant, and so a check. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "core/role_core.h"
#include "core/stream_cursor.h"
#include "fabric/frame.h"
#include "plan/pass.h"
#include "plan/plan.h"
#include "wafer_node/address_book.h"

namespace waferstream {

class TileInbox {
 public:
  // Keeps references to plan and addresses. `in_place`: tiles that are lent may be read where they
  // lie; otherwise every tile is copied into its slot, for somebody who writes to it.
  TileInbox(const Plan& plan, int wafer, uint32_t epoch, uint64_t start_step, const AddressBook& at,
            bool in_place);

  // The whole window of every plane.
  void GrantAll(Turn& turn) const;

  // INVALID_ARGUMENT: not what comes next on this channel. FAILED_PRECONDITION: no slot was granted
  // for it.
  absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId channel, const FrameHeader& header);
  // A tile that is lent stays where it lies until it is released, if kernels can read it there: its
  // slot is reserved and not written to.
  void OnFrame(ChannelId channel, const FrameHeader& header, const std::byte* payload, Turn& turn);

  // Of the pass that is being computed; positions are those of its stream.
  bool Has(PassKind kind, int position) const;
  const std::byte* Data(PassKind kind, int position) const;
  // Frees the slots of tiles that are here, and grants them again.
  void Release(PassKind kind, const std::vector<int>& positions, Turn& turn);
  // All of the pass's tiles have been released; from now on positions are those of the next one.
  void EndPass(PassKind kind);

  uint64_t bytes_received() const { return bytes_received_; }

 private:
  struct Slot {
    SlotClass slot = kSmall;
    int index = 0;
  };
  struct Here {
    Slot slot;
    const std::byte* data = nullptr;
    std::optional<uint64_t> lent = {};  // the sequence of its frame
  };
  // The tiles of a plane are counted from the start of the epoch.
  struct Lane {
    ChannelId channel = 0;
    TileCursor cursor;
    uint64_t received = 0;
    uint64_t ended = 0;  // tiles of the passes that are done
    std::vector<int> free[kSlotClasses] = {};
    std::optional<Slot> receiving = {};             // between BufferFor and OnFrame
    absl::flat_hash_map<uint64_t, Here> here = {};  // by number
  };
  // Where a position of a stream is found.
  struct Place {
    int plane = 0;
    uint64_t ordinal = 0;  // among the stream's tiles of this plane
  };

  Lane& LaneOf(ChannelId channel);
  const std::vector<Place>& PlacesOf(PassKind kind) const {
    return kind == PassKind::kBackward ? backward_ : forward_;
  }
  std::byte* AddressOf(int plane, const Slot& slot) const;

  const Plan& plan_;
  const AddressBook& at_;
  const bool in_place_;
  std::vector<Lane> lanes_;     // by plane
  std::vector<Place> forward_;  // by position
  std::vector<Place> backward_;
  uint64_t bytes_received_ = 0;
};

}  // namespace waferstream
