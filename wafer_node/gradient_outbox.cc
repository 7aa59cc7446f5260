#include "wafer_node/gradient_outbox.h"

#include "base/status.h"

namespace waferstream {
namespace {

// A token of the fabric names the staging slot that it will free.
uint64_t TokenOf(SlotClass slot, int index) {
  return static_cast<uint64_t>(index) * kSlotClasses + slot;
}

// Whether all micro-batches of the block are; all that it is of are the wafer's own.
bool IsUntouched(BlockRange range, const Wave& wave, const std::vector<bool>& untouched) {
  for (int r = 0; r < wave.leaves.count; ++r) {
    const uint64_t leaf = wave.LeafOf(r);
    const bool inside = leaf >= range.lo && leaf < range.lo + (uint64_t{1} << range.level);
    if (inside && !untouched[r]) return false;
  }
  return true;
}

}  // namespace

GradientOutbox::GradientOutbox(const Plan& plan, int wafer, uint32_t epoch, uint64_t start_step,
                               const AddressBook& at)
    : plan_(plan), at_(at) {
  const Endpoint self{WAFER, wafer, wafer};
  const int planes = static_cast<int>(plan.job.cluster().planes());
  for (int plane = 0; plane < planes; ++plane) {
    lanes_.push_back({.cursor = {plan, plane, self, epoch, start_step}});
  }
  for (const Channel& channel : plan.channels) {
    if (channel.down.role != WAFER || channel.down.process != wafer) continue;
    lanes_[channel.plane].channel = channel.id;
  }
  for (SramBuffer buffer : {SramBuffer::kStagingSmall, SramBuffer::kStagingLarge}) {
    const SlotClass slot = buffer == SramBuffer::kStagingSmall ? kSmall : kLarge;
    for (int i = at.Parts(buffer) - 1; i >= 0; --i) free_[slot].push_back(i);
  }
}

SlotClass GradientOutbox::SlotOf(int gradient) const {
  return plan_.tiles[plan_.program.gradient_stream[gradient].tile].slot;
}

std::byte* GradientOutbox::AddressOf(SlotClass slot, int index) const {
  return at_.Part(slot == kSmall ? SramBuffer::kStagingSmall : SramBuffer::kStagingLarge, index)
      .data();
}

bool GradientOutbox::HasRoom(const Op& op, int buffers) const {
  size_t needed[kSlotClasses] = {0, 0};
  for (int gradient : op.gradients) needed[SlotOf(gradient)] += buffers;
  return needed[kSmall] <= free_[kSmall].size() && needed[kLarge] <= free_[kLarge].size();
}

std::vector<std::vector<float*>> GradientOutbox::Take(const Op& op, int buffers) {
  WS_CHECK(taken_.empty());
  std::vector<std::vector<float*>> addresses(op.gradients.size());
  taken_.resize(op.gradients.size());
  for (size_t g = 0; g < op.gradients.size(); ++g) {
    const SlotClass slot = SlotOf(op.gradients[g]);
    for (int i = 0; i < buffers; ++i) {
      const int index = free_[slot].back();
      free_[slot].pop_back();
      taken_[g].push_back(index);
      addresses[g].push_back(reinterpret_cast<float*>(AddressOf(slot, index)));
    }
  }
  return addresses;
}

void GradientOutbox::Send(const Op& op, const Wave& wave, const std::vector<bool>& untouched,
                          Turn& turn) {
  for (size_t g = 0; g < op.gradients.size(); ++g) {
    const GradientItem& item = plan_.program.gradient_stream[op.gradients[g]];
    const SlotClass slot = SlotOf(op.gradients[g]);
    Lane& lane = lanes_[plan_.tiles[item.tile].plane];
    for (const BlockSet::Held& block : wave.staging.blocks) {
      FrameHeader header = lane.cursor.Header();
      WS_CHECK(static_cast<int>(header.tile) == item.tile && lane.cursor.range() == block.range);
      lane.cursor.Advance();
      if (IsUntouched(block.range, wave, untouched)) header.length = 0;
      int& index = taken_[g][block.buffer];
      lane.queue.push_back({header, slot, index});
      bytes_ += header.length;
      ++blocks_;
      index = -1;  // no longer the op's
    }
    for (int index : taken_[g]) {
      if (index >= 0) free_[slot].push_back(index);
    }
    // Every sum turns two blocks into one.
    adds_ += wave.leaves.count - wave.staging.blocks.size();
    SendWaiting(lane, turn);
  }
  taken_.clear();
}

void GradientOutbox::SendWaiting(Lane& lane, Turn& turn) {
  while (!lane.queue.empty() && lane.credit.Has(lane.queue.front().slot)) {
    const Waiting& next = lane.queue.front();
    lane.credit.Spend(next.slot);
    turn.actions.push_back(SendAction{lane.channel, next.header, AddressOf(next.slot, next.index),
                                      TokenOf(next.slot, next.index), true});
    lane.queue.pop_front();
  }
}

void GradientOutbox::OnCredit(ChannelId channel, const Credit& credit, Turn& turn) {
  for (Lane& lane : lanes_) {
    if (lane.channel != channel) continue;
    lane.credit.Add(credit);
    SendWaiting(lane, turn);
  }
}

void GradientOutbox::OnSent(uint64_t token) {
  free_[token % kSlotClasses].push_back(static_cast<int>(token / kSlotClasses));
}

}  // namespace waferstream
