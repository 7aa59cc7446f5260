#include "swarmx/gradient_reducer.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "base/vector_math.h"

namespace waferstream {
namespace {

// Additions are shared out to the kernel threads in chunks of this many elements.
constexpr size_t kChunkElements = 16 << 10;

constexpr uint64_t kAddNs = 1;  // of an element, roughly

struct Sum {
  float* zeros;        // one of the two, of which nobody has written the zeros yet; nullptr: none
  const float* first;  // elsewhere, or the same as `into`
  const float* second;
  float* into;
  size_t elements;
};

void AddAll(const std::vector<Sum>& sums, Parallel& parallel) {
  for (const Sum& sum : sums) {
    if (sum.zeros != nullptr) std::fill_n(sum.zeros, sum.elements, 0.0f);
    const int chunks = static_cast<int>((sum.elements + kChunkElements - 1) / kChunkElements);
    parallel.For(chunks, [&sum](int chunk, int) {
      const size_t at = chunk * kChunkElements;
      const size_t count = std::min(kChunkElements, sum.elements - at);
      // The chunk stays in cache.
      if (sum.first != sum.into) std::copy_n(sum.first + at, count, sum.into + at);
      Add(sum.into + at, sum.second + at, count);
    });
  }
}

}  // namespace

size_t GradientReducer::ResidentBytes(const Plan& plan, const TreeNode& node) {
  return ReceiveWindows::Bytes(plan, FrameKind::kGradient, node.down_channels);
}

GradientReducer::GradientReducer(const Plan& plan, const Endpoint& self, uint32_t epoch,
                                 uint64_t start_step, uint64_t token_base, uint64_t compute_id,
                                 std::span<std::byte> memory, TrafficCounters* traffic)
    : plan_(plan),
      token_base_(token_base),
      compute_id_(compute_id),
      traffic_(traffic),
      slots_(plan, FrameKind::kGradient, plan.tree_nodes[self.node].down_channels, memory),
      out_(plan, plan.tree_nodes[self.node].plane, self, epoch, start_step),
      sends_left_(slots_.size(), 0),
      zero_(slots_.size(), false) {
  const TreeNode& node = plan.tree_nodes[self.node];
  for (const int id : node.down_channels) {
    const Endpoint& child = plan.channels[id].down;
    children_.push_back({GradientCursor(plan, node.plane, child, epoch, start_step), {}, {}, 0});
  }
  for (const int id : node.up_channels) parents_.push_back({id, {}});
}

absl::StatusOr<std::span<std::byte>> GradientReducer::BufferFor(ChannelId channel,
                                                                const FrameHeader& header) {
  const int port = slots_.PortOf(channel);
  Child& child = children_[port];
  WS_CHECK(!child.receiving);
  if (child.due.done()) return absl::InvalidArgumentError("a gradient that is not in the plan");
  RETURN_IF_ERROR(CheckExpectedBlock(child.due.Header(), header));
  ASSIGN_OR_RETURN(child.receiving_slot, slots_.Take(port, child.due.TileOf(child.due.item())));
  zero_[child.receiving_slot] = header.length == 0;
  child.receiving = child.due.item();
  child.receiving_range = child.due.range();
  child.due.Advance();
  return std::span(slots_.bytes(child.receiving_slot), header.length);
}

void GradientReducer::OnFrame(ChannelId channel, const FrameHeader& header,
                              const std::byte* payload, Turn& turn) {
  Child& child = children_[slots_.PortOf(channel)];
  WS_CHECK(child.receiving);
  slots_.Arrived(child.receiving_slot, header, payload);
  const uint64_t item = *std::exchange(child.receiving, std::nullopt);
  traffic_->set_gradient_blocks_in(traffic_->gradient_blocks_in() + 1);
  if (!zero_[child.receiving_slot]) {
    traffic_->set_gradient_bytes_in(traffic_->gradient_bytes_in() +
                                    plan_.GradientBytes(out_.TileOf(item)));
  }
  Insert(item, child.receiving_range, child.receiving_slot);
  StartBatch(turn);
  Send(turn);
}

void GradientReducer::Insert(uint64_t item, BlockRange range, int slot) {
  BlockSet& held = open_.try_emplace(item, static_cast<uint32_t>(plan_.leaves)).first->second;
  if (const std::optional<Merge> merge = held.Insert(range, slot)) due_.push_back({item, *merge});
}

void GradientReducer::StartBatch(Turn& turn) {
  if (due_.empty() || !running_.empty()) return;
  running_.swap(due_);
  batch_started_s_ = turn.now_s;
  std::vector<Sum> sums;
  uint64_t elements = 0;
  for (const auto& [item, merge] : running_) {
    if (zero_[merge.into] && zero_[merge.from]) continue;
    auto* into = reinterpret_cast<float*>(slots_.bytes(merge.into));
    auto* from = reinterpret_cast<float*>(slots_.bytes(merge.from));
    float* zeros = zero_[merge.into] ? into : zero_[merge.from] ? from : nullptr;
    sums.push_back({zeros, reinterpret_cast<const float*>(slots_.payload(merge.into)),
                    reinterpret_cast<const float*>(slots_.payload(merge.from)), into,
                    static_cast<size_t>(plan_.tiles[out_.TileOf(item)].elements)});
    elements += sums.back().elements;
  }
  turn.actions.push_back(ComputeAction{Lane::kCompute, compute_id_,
                                       [sums = std::move(sums)](Parallel& parallel) {
                                         AddAll(sums, parallel);
                                         return absl::OkStatus();
                                       },
                                       elements * kAddNs + 1, "add gradients"});
}

void GradientReducer::OnComputeDone(Turn& turn) {
  WS_CHECK(!running_.empty());
  traffic_->set_busy_seconds(traffic_->busy_seconds() + turn.now_s - batch_started_s_);
  traffic_->set_gradient_adds(traffic_->gradient_adds() + running_.size());
  for (const Addition& addition : running_) {
    zero_[addition.merge.into] = zero_[addition.merge.into] && zero_[addition.merge.from];
    slots_.Return(addition.merge.into, turn);
    slots_.Release(addition.merge.from, turn);
    Insert(addition.item, addition.merge.result, addition.merge.into);
  }
  running_.clear();
  StartBatch(turn);
  Send(turn);
}

void GradientReducer::Send(Turn& turn) {
  while (!out_.done()) {
    const std::optional<int> slot = DueSlot();
    if (!slot) return;
    const uint64_t item = out_.item();
    const std::vector<Parent*> parents = ParentsFor(out_.TileOf(item));
    const SlotClass slot_class = slots_.slot_class(*slot);
    // To all holders or to none: a block is in flight once, and the copies stay in step.
    for (const Parent* parent : parents) {
      if (!parent->credit.Has(slot_class)) return;
    }
    FrameHeader header = out_.Header();
    if (zero_[*slot]) header.length = 0;
    for (Parent* parent : parents) {
      parent->credit.Spend(slot_class);
      turn.actions.push_back(SendAction{parent->channel, header, slots_.payload(*slot),
                                        token_base_ + static_cast<uint64_t>(*slot), true});
      traffic_->set_gradient_blocks_out(traffic_->gradient_blocks_out() + 1);
      traffic_->set_gradient_bytes_out(traffic_->gradient_bytes_out() + header.length);
    }
    sends_left_[*slot] = static_cast<int>(parents.size());
    if (out_.last_of_item()) open_.erase(item);
    out_.Advance();
  }
}

std::optional<int> GradientReducer::DueSlot() const {
  const auto held = open_.find(out_.item());
  if (held == open_.end()) return std::nullopt;
  for (const BlockSet::Held& block : held->second.held()) {
    if (block.range == out_.range()) return block.buffer;
  }
  return std::nullopt;
}

std::vector<GradientReducer::Parent*> GradientReducer::ParentsFor(int tile) {
  // Only the root has several parents: the MemoryX processes, in their order.
  if (parents_.size() == 1) return {&parents_[0]};
  std::vector<Parent*> parents;
  for (size_t process = 0; process < parents_.size(); ++process) {
    if (plan_.Holds(static_cast<int>(process), tile)) parents.push_back(&parents_[process]);
  }
  return parents;
}

void GradientReducer::OnCredit(ChannelId channel, const Credit& credit, Turn& turn) {
  for (Parent& parent : parents_) {
    if (parent.channel == channel) parent.credit.Add(credit);
  }
  Send(turn);
}

bool GradientReducer::OnSent(int slot, Turn& turn) {
  if (--sends_left_[slot] > 0) return false;
  slots_.Release(slot, turn);
  return true;
}

}  // namespace waferstream
