// Streams the tiles whose primary this process is, pass after pass, on the channels to the roots of
// the planes.
//
// Each channel has its own place in the stream and waits for nothing but its own credit, so planes
// do not hold one another up; on a channel, tiles go in stream order. A tile whose update is due is
// updated first, on the compute lane. With a bf16 wire a tile is rounded into one of a few send
// slots there as well; with f32 the fabric reads the master weights in place.
//
// Invariants:
// 1. Credit is spent before a tile is prepared. So what is prepared can always be sent, and slots
//    come back.
// 2. The payload of a frame does not change before OnSent: a slot is not reused, and a tile read in
//    place is pinned against its next update.
// 3. Tiles are lent, but for one slot, which comes back whoever keeps the others. A pinned tile
//    holds up nothing but its next update, which only the next step needs.
//
// Bytes: kSendSlots large slots with a bf16 wire, nothing with f32. Not thread-safe; called by the
// core.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "base/arena.h"
#include "base/credit.h"
#include "core/role_core.h"
#include "core/stream_cursor.h"
#include "memoryx/lane_queue.h"
#include "memoryx/place.h"
#include "memoryx/tile_store.h"
#include "memoryx/tile_updates.h"
#include "plan/plan.h"

namespace waferstream {

class TileSender {
 public:
  // Tiles being rounded or on their way to the fabric. Enough to keep the compute lane ahead of the
  // wire; more would only be memory.
  static constexpr int kSendSlots = 8;

  // All references outlive it. RESOURCE_EXHAUSTED: no memory for the slots.
  static absl::StatusOr<std::unique_ptr<TileSender>> Create(const Plan& plan,
                                                            const MemoryxPlace& place,
                                                            const TileStore& store,
                                                            TileUpdates& updates, LaneQueue& lanes,
                                                            TrafficCounters& traffic);

  void OnCredit(ChannelId channel, const Credit& credit);
  void OnSent(uint64_t token);
  // Starts whatever credit, slots and commits allow.
  void Pump(Turn& turn);

  // Tiles started so far, and whether those were all of the job.
  uint64_t streamed() const { return streamed_; }
  bool done() const;
  // Whether the fabric has read everything that may be sent before the next commit.
  bool WaitsForCommit() const;

  size_t bytes() const { return slot_memory_.size(); }

 private:
  static constexpr int kInPlace = -1;

  struct Outgoing {
    ChannelId channel;
    FrameHeader header;
    int local;
    int slot;  // or kInPlace
    bool ready;
    bool lent = false;  // out of a slot
  };
  struct Port {
    ChannelId channel;
    CreditBalance credit;
    TileCursor next;
    std::deque<uint64_t> queue;  // tokens of tiles being prepared, in stream order
  };

  TileSender(const Plan& plan, const TileStore& store, TileUpdates& updates, LaneQueue& lanes,
             TrafficCounters& traffic, Arena slot_memory, std::vector<Port> ports);

  // Starts the channel's next tile if nothing is in its way.
  bool TryStart(Port& port, Turn& turn);
  bool IsCommitted(const FrameHeader& header) const;
  void Prepare(Port& port, uint64_t token, Turn& turn);
  // Sends from the front of the queue what is ready.
  void Flush(Port& port, Turn& turn);
  Port& PortOf(ChannelId channel);
  std::byte* SlotBytes(int slot);
  // Whether a tile is lent, that is: whether receivers may keep it for as long as they need.
  bool Lend(Outgoing& out);

  const Plan& plan_;
  const TileStore& store_;
  TileUpdates& updates_;
  LaneQueue& lanes_;
  TrafficCounters& traffic_;
  Arena slot_memory_;
  std::vector<int> free_slots_;
  int lent_slots_ = 0;
  std::vector<Port> ports_;
  std::map<uint64_t, Outgoing> outgoing_;  // by token, from TryStart to OnSent
  uint64_t next_token_ = 0;
  uint64_t streamed_ = 0;
};

}  // namespace waferstream
