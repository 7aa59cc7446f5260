// The way down through one tree node: receives each tile once and sends it to every child.
//
// Invariants:
// 1. Children get the tiles of the plane in plan order, from however many parents (at the root: one
//    channel from each MemoryX process, on which tiles arrive in any order between channels).
// 2. Each child has its own place in the stream; a slow one holds back the others only when the
//    windows are full of tiles that it has not taken.
// 3. A tile's slot is freed, and its parent granted another, when no child needs it any more.
// 4. A tile that the parent lends is lent on. Of a parent's slots of one class at least one is
// never
//    lent, so a tile that goes through it comes back whatever the children keep: the stream moves.
//
// Not thread-safe; owned by the SwarmxCore, which calls it from the role's executor.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/receive_windows.h"
#include "core/role_core.h"
#include "core/stream_cursor.h"
#include "plan/plan.h"

namespace waferstream {

class TileRelay {
 public:
  // Bytes of the receive slots of this tree node's parents.
  static size_t ResidentBytes(const Plan& plan, const TreeNode& node);

  // `token_base`: tokens of this relay's sends are token_base + slot.
  TileRelay(const Plan& plan, const TreeNode& node, uint32_t epoch, uint64_t start_step,
            uint64_t token_base, std::span<std::byte> memory, TrafficCounters* traffic);

  void Start(Turn& turn) { slots_.Start(turn); }
  absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId channel, const FrameHeader& header);
  void OnFrame(ChannelId channel, const FrameHeader& header, const std::byte* payload, Turn& turn);
  // From a child.
  void OnCredit(ChannelId channel, const Credit& credit, Turn& turn);
  void OnSent(int slot, Turn& turn);

 private:
  struct Lending {
    int lent[kSlotClasses] = {0, 0};  // slots
    int may[kSlotClasses] = {0, 0};   // at the most
  };
  struct Parent {
    TileCursor due;                // what it sends next
    std::optional<int> receiving;  // slot between BufferFor and OnFrame
    std::deque<int> arrived;       // slots, in order, not yet in the stream; at most the window
    Lending lending = {};
  };
  struct Child {
    ChannelId channel;
    CreditBalance credit;
    uint64_t next = 0;  // tile of the stream that it gets next, counted from the start
  };
  struct InStream {
    int slot;
    FrameHeader header;
  };

  // Moves arrived tiles into the stream as far as plan order allows.
  void Order();
  // Sends what children have credit for.
  void Send(Turn& turn);
  void SendTo(Child& child, Turn& turn);
  // Whether the tile of this slot, new in the stream, is lent to the children.
  bool Lend(int slot);
  void EndLending(int slot);

  const Plan& plan_;
  const uint64_t token_base_;
  TrafficCounters* const traffic_;
  std::vector<Parent> parents_;  // by port
  std::vector<Child> children_;
  ReceiveWindows slots_;
  std::vector<int> sends_left_;  // by slot: children that have yet to be done with it
  std::vector<bool> lends_;      // by slot
  TileCursor next_;              // the next tile of the stream, over all parents
  std::deque<InStream> stream_;  // tiles that some child has yet to be sent
  uint64_t stream_first_ = 0;    // place of stream_[0] in the whole stream
};

}  // namespace waferstream
