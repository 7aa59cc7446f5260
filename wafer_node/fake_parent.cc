#include "wafer_node/fake_parent.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/philox.h"
#include "base/status.h"
#include "base/vector_math.h"
#include "base/worker_pool.h"
#include "wafer_node/bit_flips.h"

namespace waferstream {
namespace {

constexpr uint32_t kEpoch = 3;
constexpr size_t kBehindSram = 4096;

class TestTokens final : public TokenSource {
 public:
  TestTokens(const Plan& plan, uint64_t readable) : plan_(plan), readable_(readable) {}
  absl::Status CopyTraining(uint64_t n, int64_t context, int32_t* ids, int32_t* targets) override {
    return Copy(TestSequence(plan_, n, false), context, ids, targets);
  }
  absl::Status CopyValidation(uint64_t n, int64_t context, int32_t* ids,
                              int32_t* targets) override {
    return Copy(TestSequence(plan_, n, true), context, ids, targets);
  }

 private:
  absl::Status Copy(const std::vector<int32_t>& sequence, int64_t context, int32_t* ids,
                    int32_t* targets) {
    if (readable_ == 0) return absl::DataLossError("train.bin: was changed");
    --readable_;
    std::copy_n(sequence.begin(), context, ids);
    std::copy_n(sequence.begin() + 1, context, targets);
    return absl::OkStatus();
  }
  const Plan& plan_;
  uint64_t readable_;
};

}  // namespace

TestWeights MakeWeights(const Plan& plan, uint64_t seed) {
  TestWeights weights;
  uint64_t index = 0;
  for (const Parameter& p : plan.parameters) {
    std::vector<float>& values = weights.emplace_back(p.rows * p.cols);
    const double spread = p.two_dimensional ? 0.2 : 0.1;
    for (float& value : values) {
      const double noise = Normal(seed, Purpose::kInitialise, 0, index++)[0];
      value = static_cast<float>(p.init_value + spread * noise);
    }
  }
  return weights;
}

std::vector<int32_t> TestSequence(const Plan& plan, uint64_t n, bool validation) {
  const uint64_t vocab = plan.job.model().vocab();
  std::vector<int32_t> tokens(plan.job.model().context() + 1);
  for (uint64_t t = 0; t < tokens.size(); ++t) {
    tokens[t] = static_cast<int32_t>((7 * n * n + 3 * t * n + 5 * t + t * t + validation) % vocab);
  }
  return tokens;
}

std::unique_ptr<TokenSource> MakeTestTokens(const Plan& plan, uint64_t readable) {
  return std::make_unique<TestTokens>(plan, readable);
}

FakeParent::FakeParent(const Plan& plan, const TestWeights& weights, const Options& options)
    : plan_(plan),
      weights_(weights),
      options_(options),
      parallel_(std::make_unique<WorkerPool>(options.threads)),
      lanes_(plan.job.cluster().planes()) {
  auto arena = Arena::Create(plan.sram.bytes + kBehindSram);
  WS_CHECK(arena.ok());
  sram_ = {arena->Claim(0, 0).data(), arena->size()};
  const WaferCoreOptions core{.wafer = options.wafer,
                              .epoch = kEpoch,
                              .disputed = options.disputed,
                              .diagnose = options.diagnose};
  std::unique_ptr<ComputeFaults> faults;
  if (options.flip.has_value()) faults = std::make_unique<BitFlips>(*options.flip);
  core_ = std::make_unique<WaferCore>(plan, core, *std::move(arena),
                                      MakeTestTokens(plan, options.readable_sequences),
                                      std::move(faults));
  driven_ = core_.get();
  for (const Channel& channel : plan.channels) {
    if (channel.down.role != WAFER || channel.down.process != options.wafer) continue;
    Lane& lane = lanes_[channel.plane];
    lane.channel = channel.id;
    lane.pass = FirstPass(plan, 0);
    SkipOtherPlanes(lane, channel.plane);
  }
}

Turn FakeParent::NextTurn() {
  Turn turn;
  turn.now_s = now_s_++;
  return turn;
}

void FakeParent::HoldBack(const std::vector<Credit>& slots) {
  const std::vector<Credit> windows = WaferTileWindows(plan_);
  for (size_t plane = 0; plane < lanes_.size(); ++plane) {
    for (int s = 0; s < kSlotClasses; ++s) {
      lanes_[plane].held_back.slots[s] = windows[plane].slots[s] - slots[plane].slots[s];
    }
  }
}

void FakeParent::Start() {
  Turn turn = NextTurn();
  driven_->Start(turn);
  Take(turn);
  for (Lane& lane : lanes_) {
    for (int s = 0; s < kSlotClasses; ++s) {
      for (int i = 0; i < lane.held_back.slots[s]; ++i) {
        lane.credit.Spend(static_cast<SlotClass>(s));
      }
    }
    Credit credit;
    for (int s = 0; s < kSlotClasses; ++s) {
      credit.slots[s] = lane.outstanding[s] = options_.gradient_slots;
    }
    turn = NextTurn();
    driven_->OnCredit(lane.channel, FrameKind::kGradient, credit, turn);
    Take(turn);
  }
}

void FakeParent::Run() {
  Start();
  while (Step()) {
  }
}

bool FakeParent::Step() {
  if (!failure_.ok()) return false;
  Turn turn = NextTurn();
  const bool moved = (options_.crowded && DeliverNext(turn)) || Happens(pending_, turn) ||
                     Happens(late_, turn) || (!options_.crowded && DeliverNext(turn));
  Take(turn);
  return moved;
}

bool FakeParent::Happens(std::deque<std::function<void(Turn&)>>& events, Turn& turn) {
  if (events.empty()) return false;
  const auto event = std::move(events.front());
  events.pop_front();
  event(turn);
  return true;
}

bool FakeParent::DeliverNext(Turn& turn) {
  for (size_t plane = 0; plane < lanes_.size(); ++plane) {
    if (DeliverTile(static_cast<int>(plane), turn)) return true;
  }
  return false;
}

void FakeParent::SkipOtherPlanes(Lane& lane, int plane) const {
  while (lane.pass.has_value()) {
    const std::vector<int>& stream = StreamOf(plan_, lane.pass->kind);
    while (lane.position < stream.size() && plan_.tiles[stream[lane.position]].plane != plane) {
      ++lane.position;
    }
    if (lane.position < stream.size()) return;
    lane.pass = NextPass(plan_, *lane.pass);
    lane.position = 0;
  }
}

std::optional<FrameHeader> FakeParent::NextTile(int plane) const {
  const Lane& lane = lanes_[plane];
  if (!lane.pass.has_value()) return std::nullopt;
  const FrameHeader header = NextInPlan(plane);
  if (!lane.credit.Has(plan_.tiles[header.tile].slot)) return std::nullopt;
  return header;
}

FrameHeader FakeParent::NextInPlan(int plane) const {
  const Lane& lane = lanes_[plane];
  const int tile = StreamOf(plan_, lane.pass->kind)[lane.position];
  FrameHeader header;
  header.kind = FrameKind::kTile;
  header.dtype = static_cast<uint8_t>(plan_.wire);
  header.pass = static_cast<uint8_t>(lane.pass->kind);
  header.epoch = kEpoch;
  header.step = lane.pass->step;
  header.wave = lane.pass->wave;
  header.tile = tile;
  header.length = plan_.TileBytes(tile);
  return header;
}

bool FakeParent::DeliverTile(int plane, Turn& turn) {
  const auto header = NextTile(plane);
  if (!header.has_value()) return false;
  Lane& lane = lanes_[plane];
  const Tile& tile = plan_.tiles[header->tile];
  lane.credit.Spend(tile.slot);
  const auto buffer = driven_->BufferFor(lane.channel, *header);
  EXPECT_TRUE(buffer.ok()) << buffer.status();
  if (!buffer.ok()) return false;
  const int64_t cols = plan_.parameters[tile.parameter].cols;
  const float* values = weights_[tile.parameter].data() + tile.first_row * cols;
  if (plan_.wire == Dtype::kF32) {
    std::memcpy(buffer->data(), values, buffer->size());
  } else {
    ConvertToBf16(values, reinterpret_cast<Bf16*>(buffer->data()), tile.elements);
  }
  ++lane.position;
  SkipOtherPlanes(lane, plane);
  EXPECT_TRUE(driven_->OnFrame(lane.channel, *header, buffer->data(), turn).ok());
  return true;
}

void FakeParent::Take(Turn& turn) {
  for (Action& action : turn.actions) {
    if (auto* grant = std::get_if<GrantAction>(&action)) {
      for (Lane& lane : lanes_) {
        if (lane.channel == grant->channel) lane.credit.Add(grant->credit);
      }
    } else if (auto* send = std::get_if<SendAction>(&action)) {
      OnSend(*send);
    } else if (auto* compute = std::get_if<ComputeAction>(&action)) {
      OnCompute(*compute);
    } else if (auto* report = std::get_if<ReportAction>(&action)) {
      reports_.push_back(report->report);
      report_times_s_.push_back(turn.now_s);
    }
  }
}

void FakeParent::OnCompute(const ComputeAction& compute) {
  const bool works = options_.compute_status.ok() || compute.lane == waferstream::Lane::kDisk;
  const absl::Status status = works ? compute.work(*parallel_) : options_.compute_status;
  pending_.push_back([this, id = compute.id, status](Turn& next) {
    failure_ = driven_->OnComputeDone(id, status, next);
  });
}

void FakeParent::OnSend(const SendAction& send) {
  const FrameHeader& h = send.header;
  const Tile& tile = plan_.tiles[h.tile];
  Lane& lane = lanes_[tile.plane];
  EXPECT_EQ(send.channel, lane.channel);
  EXPECT_EQ(h.kind, FrameKind::kGradient);
  EXPECT_EQ(h.epoch, kEpoch);
  EXPECT_GE(--lane.outstanding[tile.slot], 0) << "sent without credit";
  const auto* values = reinterpret_cast<const float*>(send.payload);
  const auto zeros = std::count(values, values + tile.elements, 0.0f);
  const bool whole = h.length == tile.elements * sizeof(float);
  EXPECT_TRUE(whole || (h.length == 0 && zeros == tile.elements)) << Describe(h);
  const BlockKey key{
      h.step, h.wave, static_cast<int>(h.tile), h.contribution, {h.range_lo, h.range_level}};
  const bool is_new =
      blocks_.emplace(key, std::vector<float>(values, values + tile.elements)).second;
  EXPECT_TRUE(is_new) << "sent twice: " << Describe(h);
  // The fabric is done with it; and later the slot is free again.
  auto& later = options_.crowded ? late_ : pending_;
  later.push_back([this, token = send.token](Turn& next) { driven_->OnSent(token, next); });
  later.push_back([this, &lane, slot = tile.slot](Turn& next) {
    Credit credit;
    credit.slots[slot] = 1;
    ++lane.outstanding[slot];
    driven_->OnCredit(lane.channel, FrameKind::kGradient, credit, next);
  });
}

bool FakeParent::AllReturned() const {
  const std::vector<Credit> windows = WaferTileWindows(plan_);
  for (size_t plane = 0; plane < lanes_.size(); ++plane) {
    CreditBalance left = lanes_[plane].credit;
    for (int s = 0; s < kSlotClasses; ++s) {
      for (int i = 0; i < windows[plane].slots[s]; ++i) {
        if (!left.Has(static_cast<SlotClass>(s))) return false;
        left.Spend(static_cast<SlotClass>(s));
      }
    }
    if (lanes_[plane].pass.has_value()) return false;
  }
  return true;
}

std::map<std::pair<int, int>, std::vector<float>> TotalGradients(
    const Plan& plan, const std::vector<const FakeParent*>& parents, uint64_t step) {
  // Blocks of each gradient; BlockSet says which to add.
  std::map<std::pair<int, int>, std::map<BlockRange, std::vector<float>>> blocks;
  for (const FakeParent* parent : parents) {
    for (const auto& [key, values] : parent->blocks()) {
      if (key.step == step) blocks[{key.tile, key.contribution}][key.range] = values;
    }
  }
  std::map<std::pair<int, int>, std::vector<float>> totals;
  for (auto& [gradient, parts] : blocks) {
    std::vector<std::vector<float>> buffers;
    BlockSet held(plan.leaves);
    for (auto& [range, values] : parts) {
      buffers.push_back(values);
      auto merge = held.Insert(range, static_cast<int>(buffers.size()) - 1);
      while (merge.has_value()) {
        Add(buffers[merge->into].data(), buffers[merge->from].data(), values.size());
        merge = held.Insert(merge->result, merge->into);
      }
    }
    EXPECT_EQ(held.held().size(), 1u);
    EXPECT_TRUE(IsRoot(held.held()[0].range, plan.leaves));
    totals[gradient] = buffers[held.held()[0].buffer];
  }
  return totals;
}

}  // namespace waferstream
