#include "memoryx/gradient_sum.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "memoryx/tile_math.h"
#include "plan/topology.h"

namespace waferstream {
namespace {

constexpr int kNoBuffer = -1;

SlotPool::SlotBytes SlotBytesOf(const Plan& plan) {
  return {plan.gradient_slot_bytes[kSmall], plan.gradient_slot_bytes[kLarge]};
}

size_t BufferBytes(const Plan& plan, const TileStore& store, int buffers) {
  size_t elements = 0;
  for (const int tile : store.tiles()) {
    const Parameter& parameter = plan.parameters[plan.tiles[tile].parameter];
    elements += PaddedElements(plan.tiles[tile]) * parameter.contributions;
  }
  return elements * buffers * sizeof(float);
}

std::vector<Credit> Windows(const Plan& plan, int process) {
  std::vector<Credit> windows;
  for (const Channel& channel : plan.channels) {
    if (channel.kind == ChannelKind::kCopy) continue;
    if (channel.up.role != MEMORYX || channel.up.process != process) continue;
    windows.push_back(channel.gradient_window);
  }
  return windows;
}

}  // namespace

absl::StatusOr<std::unique_ptr<GradientSum>> GradientSum::Create(const Plan& plan,
                                                                 const MemoryxPlace& place,
                                                                 const TileStore& store,
                                                                 LaneQueue& lanes,
                                                                 TrafficCounters& traffic) {
  const int buffers = BuffersPerGradient(plan);
  ASSIGN_OR_RETURN(Arena buffers_memory, Arena::Create(BufferBytes(plan, store, buffers)));
  size_t window_bytes = 0;
  for (const Credit& window : Windows(plan, place.process)) {
    window_bytes += SlotPool::WindowBytes(window, SlotBytesOf(plan));
  }
  ASSIGN_OR_RETURN(Arena window_memory, Arena::Create(window_bytes));
  std::vector<Port> ports;
  for (const Channel& channel : plan.channels) {
    if (channel.kind == ChannelKind::kCopy) continue;
    if (channel.up.role != MEMORYX || channel.up.process != place.process) continue;
    GradientCursor due(plan, channel.plane, channel.down, place.epoch, place.start_step);
    ports.push_back({channel.id, std::move(due), std::nullopt, {}});
  }
  std::unique_ptr<GradientSum> sum(new GradientSum(plan, store, lanes, traffic, buffers,
                                                   std::move(buffers_memory),
                                                   std::move(window_memory), std::move(ports)));
  sum->LayOutBuffers();
  for (Port& port : sum->ports_) sum->SkipOthersTiles(port);
  sum->BeginStep();
  return sum;
}

GradientSum::GradientSum(const Plan& plan, const TileStore& store, LaneQueue& lanes,
                         TrafficCounters& traffic, int buffers, Arena buffers_memory,
                         Arena window_memory, std::vector<Port> ports)
    : plan_(plan),
      store_(store),
      lanes_(lanes),
      traffic_(traffic),
      buffers_(buffers),
      buffers_memory_(std::move(buffers_memory)),
      window_memory_(std::move(window_memory)),
      ports_(std::move(ports)),
      slots_([&] {
        std::vector<Credit> windows;
        for (const Port& port : ports_) {
          windows.push_back(plan.channels[port.channel].gradient_window);
        }
        return SlotPool(windows, SlotBytesOf(plan), window_memory_.Claim(0, window_memory_.size()));
      }()) {}

void GradientSum::LayOutBuffers() {
  size_t offset = 0;
  for (const int tile : store_.tiles()) {
    const Tile& shape = plan_.tiles[tile];
    Gradient gradient;
    gradient.elements = shape.elements;
    gradient.missing = 0;
    for (int c = 0; c < plan_.parameters[shape.parameter].contributions; ++c) {
      const size_t bytes = PaddedElements(shape) * buffers_ * sizeof(float);
      auto* first = reinterpret_cast<float*>(buffers_memory_.Claim(offset, bytes).data());
      gradient.contributions.push_back({BlockSet(plan_.leaves), {}, first, kNoBuffer});
      offset += bytes;
    }
    gradients_.push_back(std::move(gradient));
  }
  square_sums_.resize(gradients_.size());
}

void GradientSum::BeginStep() {
  for (Gradient& gradient : gradients_) {
    gradient.missing = static_cast<int>(gradient.contributions.size());
    for (Contribution& c : gradient.contributions) {
      c.blocks.Clear();
      c.root = kNoBuffer;
      c.free.clear();
      for (int b = buffers_ - 1; b >= 0; --b) c.free.push_back(b);
    }
  }
  tiles_done_ = 0;
}

// The cursor covers the whole plane; other processes' channels carry their tiles.
void GradientSum::SkipOthersTiles(Port& port) const {
  while (!port.due.done() && store_.LocalOf(port.due.TileOf(port.due.item())) < 0) {
    port.due.Advance();
  }
}

GradientSum::Port& GradientSum::PortOf(ChannelId channel) {
  const auto port = std::find_if(ports_.begin(), ports_.end(),
                                 [&](const Port& p) { return p.channel == channel; });
  WS_CHECK(port != ports_.end());
  return *port;
}

void GradientSum::Start(Turn& turn) {
  for (const Port& port : ports_) {
    const Credit& window = plan_.channels[port.channel].gradient_window;
    turn.actions.push_back(GrantAction{port.channel, FrameKind::kGradient, window});
  }
}

absl::StatusOr<std::span<std::byte>> GradientSum::BufferFor(ChannelId channel,
                                                            const FrameHeader& header) {
  Port& port = PortOf(channel);
  WS_CHECK(!port.receiving);
  if (port.due.done()) return absl::InvalidArgumentError("a gradient after the last step");
  RETURN_IF_ERROR(CheckExpected(port.due.Header(), header));
  const int index = static_cast<int>(&port - ports_.data());
  ASSIGN_OR_RETURN(const int slot, slots_.Take(index, plan_.tiles[header.tile].slot));
  port.receiving = slot;
  port.header = header;
  port.due.Advance();
  SkipOthersTiles(port);
  return std::span<std::byte>(slots_.bytes(slot), header.length);
}

void GradientSum::OnFrame(ChannelId channel, Turn& turn) {
  Port& port = PortOf(channel);
  WS_CHECK(port.receiving);
  const int slot = *port.receiving;
  port.receiving.reset();
  traffic_.set_gradient_bytes_in(traffic_.gradient_bytes_in() + port.header.length);
  traffic_.set_gradient_blocks_in(traffic_.gradient_blocks_in() + 1);
  Land(port.header, slot, turn);
}

float* GradientSum::Buffer(const Gradient& gradient, const Contribution& c, int index) const {
  return c.buffers + index * ((gradient.elements + 15) / 16 * 16);
}

std::vector<GradientSum::Move> GradientSum::Insert(const Gradient& gradient, Contribution& c,
                                                   BlockRange range, const float* block) {
  const int spare = c.free.empty() ? kNoBuffer : c.free.back();
  std::vector<Move> moves;
  auto merge = c.blocks.Insert(range, spare);
  if (!merge) {
    WS_CHECK(spare != kNoBuffer);  // invariant 2
    c.free.pop_back();
    moves.push_back({Buffer(gradient, c, spare), block, false});
  }
  for (bool arrived = true; merge; arrived = false) {
    const float* from = arrived ? block : Buffer(gradient, c, merge->from);
    if (!arrived) c.free.push_back(merge->from);
    moves.push_back({Buffer(gradient, c, merge->into), from, true});
    range = merge->result;
    traffic_.set_gradient_adds(traffic_.gradient_adds() + 1);
    merge = c.blocks.Insert(range, merge->into);
  }
  if (IsRoot(range, plan_.leaves)) c.root = c.blocks.held().front().buffer;
  return moves;
}

void GradientSum::Land(const FrameHeader& header, int slot, Turn& turn) {
  const int local = store_.LocalOf(static_cast<int>(header.tile));
  Gradient& gradient = gradients_[local];
  Contribution& c = gradient.contributions[header.contribution];
  const BlockRange range = {header.range_lo, header.range_level};
  const auto* block = reinterpret_cast<const float*>(slots_.bytes(slot));
  std::vector<Move> moves = Insert(gradient, c, range, block);
  if (c.root != kNoBuffer) --gradient.missing;
  const bool last = gradient.missing == 0;
  if (last) {
    float* const total =
        Buffer(gradient, gradient.contributions[0], gradient.contributions[0].root);
    for (size_t i = 1; i < gradient.contributions.size(); ++i) {
      const Contribution& next = gradient.contributions[i];
      moves.push_back({total, Buffer(gradient, next, next.root), true});
    }
    gradient.total = total;
  }
  const auto work = [moves = std::move(moves), n = gradient.elements, total = gradient.total,
                     sum = last ? &square_sums_[local] : nullptr](Parallel& parallel) {
    for (const Move& move : moves) {
      (move.add ? AddTile : CopyTile)(parallel, move.into, move.from, n);
    }
    if (sum != nullptr) *sum = SquareSumOfTile(parallel, total, n);
    return absl::OkStatus();
  };
  const auto done = [this, slot, last](const absl::Status& status, Turn& turn) {
    if (status.ok()) OnLanded(slot, last, turn);
    return status;
  };
  lanes_.Run(Lane::kCompute, work, done, turn);
}

void GradientSum::OnLanded(int slot, bool last_of_tile, Turn& turn) {
  Credit credit;
  credit.slots[slots_.slot_class(slot)] = 1;
  const ChannelId channel = ports_[slots_.port(slot)].channel;
  slots_.Free(slot);
  turn.actions.push_back(GrantAction{channel, FrameKind::kGradient, credit});
  if (last_of_tile) ++tiles_done_;
}

}  // namespace waferstream
