#include "memoryx/gradient_sum.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "memoryx/tile_math.h"
#include "plan/topology.h"

namespace waferstream {
namespace {

constexpr int kNoBuffer = -1;

// Those to the tree roots.
std::vector<ChannelId> ChannelsOf(const Plan& plan, int process) {
  std::vector<ChannelId> channels;
  for (const Channel& channel : plan.channels) {
    if (channel.kind == ChannelKind::kCopy) continue;
    if (channel.up.role == MEMORYX && channel.up.process == process) channels.push_back(channel.id);
  }
  return channels;
}

}  // namespace

absl::StatusOr<std::unique_ptr<GradientSum>> GradientSum::Create(const Plan& plan,
                                                                 const MemoryxPlace& place,
                                                                 const TileStore& store,
                                                                 LaneQueue& lanes,
                                                                 TrafficCounters& traffic) {
  const int buffers = BuffersPerGradient(plan);
  for (const auto& shard : store.shards()) {
    RETURN_IF_ERROR(shard->MakeGradientBuffers(plan, buffers));
  }
  const std::vector<ChannelId> channels = ChannelsOf(plan, place.process);
  ASSIGN_OR_RETURN(Arena window_memory,
                   Arena::Create(ReceiveWindows::Bytes(plan, FrameKind::kGradient, channels)));
  std::unique_ptr<GradientSum> sum(
      new GradientSum(plan, store, lanes, traffic, buffers, std::move(window_memory), channels));
  for (const ChannelId id : channels) {
    const Channel& channel = plan.channels[id];
    GradientCursor due(plan, channel.plane, channel.down, place.epoch, place.start_step);
    sum->ports_.push_back({std::move(due), std::nullopt, {}});
  }
  sum->LayOutBuffers();
  for (Port& port : sum->ports_) sum->SkipOthersTiles(port);
  sum->BeginStep();
  return sum;
}

GradientSum::GradientSum(const Plan& plan, const TileStore& store, LaneQueue& lanes,
                         TrafficCounters& traffic, int buffers, Arena window_memory,
                         const std::vector<ChannelId>& channels)
    : plan_(plan),
      store_(store),
      lanes_(lanes),
      traffic_(traffic),
      buffers_(buffers),
      window_memory_(std::move(window_memory)),
      slots_(plan, FrameKind::kGradient, channels, window_memory_.Claim(0, window_memory_.size())) {
}

void GradientSum::LayOutBuffers() {
  for (size_t local = 0; local < store_.tiles().size(); ++local) {
    const Tile& shape = plan_.tiles[store_.tiles()[local]];
    Gradient gradient;
    gradient.elements = shape.elements;
    gradient.missing = 0;
    float* first = store_.gradient_buffers(static_cast<int>(local));
    for (int c = 0; c < plan_.parameters[shape.parameter].contributions; ++c) {
      gradient.contributions.push_back({BlockSet(plan_.leaves), {}, first, kNoBuffer});
      first += PaddedElements(shape) * buffers_;
    }
    gradients_.push_back(std::move(gradient));
  }
  square_sums_.resize(gradients_.size());
}

void GradientSum::BeginStep() {
  tiles_done_ = 0;
  for (Gradient& gradient : gradients_) {
    gradient.missing = static_cast<int>(gradient.contributions.size());
    if (gradient.missing == 0) ++tiles_done_;
    for (Contribution& c : gradient.contributions) {
      c.blocks.Clear();
      c.root = kNoBuffer;
      c.free.clear();
      for (int b = buffers_ - 1; b >= 0; --b) c.free.push_back(b);
    }
  }
}

bool GradientSum::HasBlocks(int local) const {
  const auto& contributions = gradients_[local].contributions;
  return std::any_of(contributions.begin(), contributions.end(),
                     [](const Contribution& c) { return !c.blocks.held().empty(); });
}

// The cursor covers the whole plane; other processes' channels carry their tiles.
void GradientSum::SkipOthersTiles(Port& port) const {
  while (!port.due.done() && store_.LocalOf(port.due.TileOf(port.due.item())) < 0) {
    port.due.Advance();
  }
}

absl::StatusOr<std::span<std::byte>> GradientSum::BufferFor(ChannelId channel,
                                                            const FrameHeader& header) {
  const int index = slots_.PortOf(channel);
  Port& port = ports_[index];
  WS_CHECK(!port.receiving);
  if (port.due.done()) return absl::InvalidArgumentError("a gradient after the last step");
  RETURN_IF_ERROR(CheckExpectedBlock(port.due.Header(), header));
  ASSIGN_OR_RETURN(const int slot, slots_.Take(index, static_cast<int>(header.tile)));
  port.receiving = slot;
  port.header = header;
  port.due.Advance();
  SkipOthersTiles(port);
  return std::span<std::byte>(slots_.bytes(slot), header.length);
}

GradientSum::Arrival GradientSum::OnFrame(ChannelId channel, const FrameHeader& header,
                                          const std::byte* payload) {
  Port& port = ports_[slots_.PortOf(channel)];
  WS_CHECK(port.receiving);
  const int slot = *port.receiving;
  port.receiving.reset();
  slots_.Arrived(slot, header, payload);
  traffic_.set_gradient_bytes_in(traffic_.gradient_bytes_in() + port.header.length);
  traffic_.set_gradient_blocks_in(traffic_.gradient_blocks_in() + 1);
  return {port.header, slot};
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

std::vector<GradientSum::Move> GradientSum::AddContributions(const Gradient& gradient) const {
  const Contribution& first = gradient.contributions[0];
  std::vector<Move> moves;
  for (size_t i = 1; i < gradient.contributions.size(); ++i) {
    const Contribution& next = gradient.contributions[i];
    moves.push_back({Buffer(gradient, first, first.root), Buffer(gradient, next, next.root), true});
  }
  return moves;
}

const float* GradientSum::Total(const Gradient& gradient) const {
  const Contribution& first = gradient.contributions[0];
  return Buffer(gradient, first, first.root);
}

void GradientSum::Land(const Arrival& arrival, Turn& turn) {
  const auto& [header, slot] = arrival;
  const int local = store_.LocalOf(static_cast<int>(header.tile));
  Gradient& gradient = gradients_[local];
  Contribution& c = gradient.contributions[header.contribution];
  const BlockRange range = {header.range_lo, header.range_level};
  const auto* block = reinterpret_cast<const float*>(slots_.payload(slot));
  std::vector<Move> moves = Insert(gradient, c, range, block);
  if (c.root != kNoBuffer) --gradient.missing;
  const bool last = gradient.missing == 0;
  if (last) {
    const std::vector<Move> sums = AddContributions(gradient);
    moves.insert(moves.end(), sums.begin(), sums.end());
  }
  float* const zeros = header.length == 0 ? reinterpret_cast<float*>(slots_.bytes(slot)) : nullptr;
  const uint64_t about_ns = (moves.size() + 3) * gradient.elements * kPassNs;
  const auto work = [moves = std::move(moves), n = gradient.elements, &tile = store_.tile(local),
                     zeros, last, total = last ? Total(gradient) : nullptr, step = header.step,
                     &square_sum = square_sums_[local]](Parallel& parallel) {
    if (zeros != nullptr) std::fill_n(zeros, n, 0.0f);
    for (const Move& move : moves) {
      (move.add ? AddTile : CopyTile)(parallel, move.into, move.from, n);
    }
    if (!last) return absl::OkStatus();
    square_sum = SquareSumOfTile(parallel, total, n);
    tile.SetGradient(step, total);
    return tile.version() == HeldTile::kAbsent ? absl::OkStatus() : tile.CheckWeights(parallel);
  };
  const auto done = [this, slot = slot, last](const absl::Status& status, Turn& turn) {
    if (status.ok()) OnLanded(slot, last, turn);
    return status;
  };
  lanes_.Run(Lane::kCompute, "add gradients", work, done, turn, about_ns);
}

void GradientSum::OnLanded(int slot, bool last_of_tile, Turn& turn) {
  slots_.Release(slot, turn);
  if (last_of_tile) ++tiles_done_;
}

}  // namespace waferstream
