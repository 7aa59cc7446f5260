// Where gradients are made and wait to leave: the staging slots and the queue of every plane.
//
// An op takes the slots that it needs before it starts. When it is done, the blocks that have no
// sibling here are queued on the channel of their tile's plane and sent as upstream credit allows,
// in order; their slots return when the fabric has sent them, or whoever they are lent to has added
// them, all others at once. So the reduction tree's back-pressure reaches the compute: without a
// free slot the next op does not start.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "base/credit.h"
#include "core/role_core.h"
#include "core/stream_cursor.h"
#include "plan/pass.h"
#include "plan/plan.h"
#include "wafer_node/address_book.h"
#include "wafer_node/wave.h"

namespace waferstream {

class GradientOutbox {
 public:
  GradientOutbox(const Plan& plan, int wafer, uint32_t epoch, uint64_t start_step,
                 const AddressBook& at);

  // Whether there are slots for the gradients of `op` when each needs `buffers` of them.
  bool HasRoom(const Op& op, int buffers) const;
  // Takes them. One list of addresses for every gradient of the op.
  std::vector<std::vector<float*>> Take(const Op& op, int buffers);
  // The op is done: what is left of its gradients is on its way. A block of micro-batches that are
  // all `untouched` (OpResults) goes without its zeros: as a header alone.
  void Send(const Op& op, const Wave& wave, const std::vector<bool>& untouched, Turn& turn);

  void OnCredit(ChannelId channel, const Credit& credit, Turn& turn);
  void OnSent(uint64_t token);

  // Of all blocks given to Send so far, be they on their way or still queued: at the end of a step
  // these are the step's, whatever credit there was.
  uint64_t bytes() const { return bytes_; }
  uint64_t blocks() const { return blocks_; }
  // Sums of two siblings that were made here.
  uint64_t adds() const { return adds_; }

 private:
  struct Waiting {
    FrameHeader header;
    SlotClass slot;
    int index;  // staging slot
  };
  struct Lane {
    ChannelId channel = 0;
    GradientCursor cursor;  // the next block to be queued
    CreditBalance credit = {};
    std::deque<Waiting> queue = {};
  };

  SlotClass SlotOf(int gradient) const;
  std::byte* AddressOf(SlotClass slot, int index) const;
  void SendWaiting(Lane& lane, Turn& turn);

  const Plan& plan_;
  const AddressBook& at_;
  std::vector<Lane> lanes_;  // by plane
  std::vector<int> free_[kSlotClasses];
  std::vector<std::vector<int>> taken_;  // by the running op: slots of every gradient
  uint64_t bytes_ = 0;
  uint64_t blocks_ = 0;
  uint64_t adds_ = 0;
};

}  // namespace waferstream
