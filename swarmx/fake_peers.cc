#include "swarmx/fake_peers.h"

#include <cstring>
#include <optional>

#include "base/philox.h"
#include "base/status.h"
#include "plan/pass.h"
#include "plan/topology.h"

namespace waferstream {
namespace {

// One micro-batch's made-up gradient.
std::vector<float> LeafGradient(const FrameHeader& header, uint32_t leaf, size_t elements) {
  std::vector<float> values(elements);
  const uint64_t seed = header.tile * 4 + header.contribution;
  for (size_t i = 0; i < elements; ++i) {
    const auto bits = Philox(seed, Purpose::kSample, header.step, uint64_t{leaf} << 32 | i);
    values[i] = static_cast<float>(UnitInterval(bits[0]) - 0.5);
  }
  return values;
}

// The sum over the leaves [lo, lo + 2^level), straight from DESIGN's definition.
std::vector<float> CanonicalSum(const FrameHeader& header, uint32_t lo, int level, uint32_t leaves,
                                size_t elements) {
  if (level == 0) return LeafGradient(header, lo, elements);
  std::vector<float> left = CanonicalSum(header, lo, level - 1, leaves, elements);
  const uint32_t middle = lo + (1u << (level - 1));
  if (middle >= leaves) return left;
  const std::vector<float> right = CanonicalSum(header, middle, level - 1, leaves, elements);
  for (size_t i = 0; i < elements; ++i) left[i] += right[i];
  return left;
}

void AppendWave(const Plan& plan, int plane, const Endpoint& down, int process, uint64_t step,
                int wave, std::vector<FrameHeader>& frames) {
  for (const GradientItem& item : plan.program.gradient_stream) {
    const Tile& tile = plan.tiles[item.tile];
    if (tile.plane != plane || (process >= 0 && !plan.Holds(process, item.tile))) continue;
    for (const BlockRange& range : BlocksFrom(plan, down, wave)) {
      FrameHeader header;
      header.kind = FrameKind::kGradient;
      header.pass = static_cast<uint8_t>(PassKind::kBackward);
      header.contribution = static_cast<uint8_t>(item.contribution);
      header.range_level = range.level;
      header.range_lo = range.lo;
      header.step = step;
      header.wave = static_cast<uint32_t>(wave);
      header.tile = static_cast<uint32_t>(item.tile);
      header.length = plan.GradientBytes(item.tile);
      frames.push_back(header);
    }
  }
}

}  // namespace

std::vector<FrameHeader> TileFrames(const Plan& plan, int plane, int process) {
  std::vector<FrameHeader> frames;
  for (std::optional<Pass> pass = FirstPass(plan, 0); pass; pass = NextPass(plan, *pass)) {
    for (const int index : StreamOf(plan, pass->kind)) {
      const Tile& tile = plan.tiles[index];
      if (tile.plane != plane || (process >= 0 && plan.Primary(index) != process)) continue;
      FrameHeader header;
      header.kind = FrameKind::kTile;
      header.dtype = static_cast<uint8_t>(plan.wire);
      header.pass = static_cast<uint8_t>(pass->kind);
      header.step = pass->step;
      header.wave = pass->wave;
      header.tile = static_cast<uint32_t>(index);
      header.length = plan.TileBytes(index);
      frames.push_back(header);
    }
  }
  return frames;
}

std::vector<FrameHeader> GradientFrames(const Plan& plan, int plane, const Endpoint& down,
                                        int process) {
  std::vector<FrameHeader> frames;
  for (uint64_t step = 0; step < plan.steps(); ++step) {
    for (int wave = 0; wave < plan.waves; ++wave) {
      AppendWave(plan, plane, down, process, step, wave, frames);
    }
  }
  return frames;
}

std::vector<std::byte> PayloadOf(const Plan& plan, const FrameHeader& header) {
  std::vector<std::byte> bytes(header.length);
  if (header.kind == FrameKind::kGradient) {
    const std::vector<float> sum = CanonicalSum(header, header.range_lo, header.range_level,
                                                plan.leaves, plan.tiles[header.tile].elements);
    std::memcpy(bytes.data(), sum.data(), bytes.size());
    return bytes;
  }
  for (size_t i = 0; i < bytes.size(); i += 4) {
    const uint64_t index = uint64_t{header.wave} << 48 | uint64_t{header.pass} << 32 | i;
    const auto bits = Philox(header.tile, Purpose::kSample, header.step, index);
    std::memcpy(&bytes[i], bits.data(), std::min<size_t>(4, bytes.size() - i));
  }
  return bytes;
}

FakePeer::FakePeer(const Plan& plan, std::vector<Port> ports) : plan_(&plan) {
  for (Port& port : ports) {
    const ChannelId channel = port.channel;
    ports_[channel] = {std::move(port), {}, 0, 0};
  }
}

FakePeer FakePeer::Memoryx(const Plan& plan, int process) {
  std::vector<Port> ports;
  for (const Channel& c : plan.channels) {
    if (c.up.role != MEMORYX || c.up.process != process) continue;
    ports.push_back({c.id, FrameKind::kGradient, c.gradient_window,
                     TileFrames(plan, c.plane, process),
                     GradientFrames(plan, c.plane, c.down, process)});
  }
  return FakePeer(plan, std::move(ports));
}

FakePeer FakePeer::Wafer(const Plan& plan, int wafer) {
  std::vector<Port> ports;
  for (const Channel& c : plan.channels) {
    if (c.down.role != WAFER || c.down.process != wafer) continue;
    ports.push_back({c.id, FrameKind::kTile, c.tile_window,
                     GradientFrames(plan, c.plane, c.down, -1), TileFrames(plan, c.plane, -1)});
  }
  return FakePeer(plan, std::move(ports));
}

bool FakePeer::done() const {
  for (const auto& [channel, state] : ports_) {
    if (state.sent < state.port.to_send.size()) return false;
    if (state.received < state.port.to_receive.size()) return false;
  }
  return in_flight_.empty() && to_grant_.empty();
}

void FakePeer::Start(Turn& turn) {
  for (const auto& [channel, state] : ports_) {
    turn.actions.push_back(GrantAction{channel, state.port.receives, state.port.window});
  }
}

absl::StatusOr<std::span<std::byte>> FakePeer::BufferFor(ChannelId channel,
                                                         const FrameHeader& header) {
  State& state = ports_.at(channel);
  WS_CHECK(state.received < state.port.to_receive.size());
  FrameHeader plain = header;
  plain.sequence = 0;
  WS_CHECK(Encode(plain) == Encode(state.port.to_receive[state.received]));
  buffer_.assign(header.length, std::byte{0});
  return std::span(buffer_);
}

absl::Status FakePeer::OnFrame(ChannelId channel, const FrameHeader& header,
                               const std::byte* payload, Turn& turn) {
  WS_CHECK(std::vector(payload, payload + header.length) == PayloadOf(*plan_, header));
  if (payload != buffer_.data()) {
    turn.actions.push_back(ReturnAction{channel, header.kind, header.sequence});
  }
  ++ports_.at(channel).received;
  to_grant_.push_back({channel, SlotOf(header)});
  turn.actions.push_back(
      ComputeAction{Lane::kCompute, 0, [](Parallel&) { return absl::OkStatus(); }});
  return absl::OkStatus();
}

absl::Status FakePeer::OnComputeDone(uint64_t, const absl::Status&, Turn& turn) {
  const auto [channel, slot] = to_grant_.front();
  to_grant_.pop_front();
  Credit one;
  one.slots[slot] = 1;
  turn.actions.push_back(GrantAction{channel, ports_.at(channel).port.receives, one});
  return absl::OkStatus();
}

void FakePeer::OnCredit(ChannelId channel, FrameKind kind, const Credit& credit, Turn& turn) {
  State& state = ports_.at(channel);
  WS_CHECK(kind != state.port.receives);
  state.credit.Add(credit);
  Send(state, turn);
}

void FakePeer::Send(State& state, Turn& turn) {
  for (; state.sent < state.port.to_send.size(); ++state.sent) {
    const FrameHeader& header = state.port.to_send[state.sent];
    if (!state.credit.Has(SlotOf(header))) return;
    state.credit.Spend(SlotOf(header));
    const auto& payload = in_flight_[tokens_] = PayloadOf(*plan_, header);
    turn.actions.push_back(SendAction{state.port.channel, header, payload.data(), tokens_++});
  }
}

void FakePeer::OnSent(uint64_t token, Turn&) { WS_CHECK(in_flight_.erase(token) == 1); }

}  // namespace waferstream
