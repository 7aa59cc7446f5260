#include "memoryx/scripted_cluster.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "base/status.h"
#include "checkpoint/posix_disk.h"
#include "plan/topology.h"

namespace waferstream {
namespace {

uint64_t WaveIndex(const Plan& plan, const FrameHeader& header) {
  return header.step * plan.waves + header.wave;
}

}  // namespace

ScriptedCluster::ScriptedCluster(const Plan& plan, const EagerTrainer& oracle, uint64_t start_step,
                                 uint64_t seed)
    : plan_(plan),
      oracle_(oracle),
      random_(seed),
      nodes_(plan.shape.memoryx),
      next_wave_(start_step * plan.waves),
      committed_(start_step),
      square_sums_(plan.tiles.size()) {
  for (const Channel& channel : plan.channels) {
    if (channel.up.role != MEMORYX) continue;
    Port& port = ports_[channel.id];
    port.process = channel.up.process;
  }
  ExpectTiles(start_step);
  for (int process = 0; process < plan.shape.memoryx; ++process) PrepareNode(process, start_step);
}

void ScriptedCluster::PrepareNode(int process, uint64_t start_step) {
  PrepareRequest request;
  request.set_epoch(kEpoch);
  request.set_role(MEMORYX);
  request.set_index(process);
  request.set_start_step(start_step);
  PrepareReply reply;
  Node& node = nodes_[process];
  node.role = std::make_unique<MemoryxRole>(PosixDisk());
  auto core = node.role->Prepare(request, plan_, &reply);
  WS_CHECK(core.ok());
  node.core = *std::move(core);
  resident_bytes_ += reply.resident_bytes();
}

void ScriptedCluster::ExpectTiles(uint64_t start_step) {
  for (auto& [id, port] : ports_) {
    for (auto pass = FirstPass(plan_, start_step); pass; pass = NextPass(plan_, *pass)) {
      for (const int tile : StreamOf(plan_, pass->kind)) {
        const Tile& shape = plan_.tiles[tile];
        if (plan_.Primary(tile) != port.process || shape.plane != plan_.channels[id].plane)
          continue;
        FrameHeader header;
        header.kind = FrameKind::kTile;
        header.dtype = static_cast<uint8_t>(plan_.wire);
        header.pass = static_cast<uint8_t>(pass->kind);
        header.epoch = kEpoch;
        header.step = pass->step;
        header.wave = pass->wave;
        header.tile = tile;
        header.length = plan_.TileBytes(tile);
        port.tiles.push_back(header);
      }
    }
  }
}

bool ScriptedCluster::Run() {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    Turn turn;
    nodes_[i].core->Start(turn);
    Handle(static_cast<int>(i), std::move(turn));
  }
  for (auto& [id, port] : ports_) {
    Turn turn;
    nodes_[port.process].core->OnCredit(id, FrameKind::kTile, plan_.channels[id].tile_window, turn);
    Handle(port.process, std::move(turn));
  }
  while (true) {
    const std::vector<Choice> choices = Choices();
    if (choices.empty()) break;
    choices[random_() % choices.size()]();
    if (testing::Test::HasFailure()) return false;
  }
  EXPECT_TRUE(done()) << "stuck after " << committed_ << " commits";
  return done();
}

std::vector<ScriptedCluster::Choice> ScriptedCluster::Choices() {
  std::vector<Choice> choices, slow;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    for (const Lane lane : {Lane::kCompute, Lane::kDisk}) {
      auto& queue = nodes_[i].lanes[static_cast<int>(lane)];
      if (queue.empty()) continue;
      (lane == Lane::kDisk && slow_edges ? slow : choices).push_back([this, i, &queue] {
        const ComputeAction action = std::move(queue.front());
        queue.pop_front();
        Serial serial;
        Turn turn;
        const absl::Status status = action.work(serial);
        EXPECT_TRUE(nodes_[i].core->OnComputeDone(action.id, status, turn).ok());
        Handle(static_cast<int>(i), std::move(turn));
      });
    }
  }
  for (size_t i = 0; i < sent_.size(); ++i) {
    (slow_edges ? slow : choices).push_back([this, i] {
      const Sent sent = sent_[i];
      sent_.erase(sent_.begin() + i);
      CheckPayload(sent.send);
      Turn turn;
      nodes_[sent.process].core->OnSent(sent.send.token, turn);
      Handle(sent.process, std::move(turn));
    });
  }
  for (auto& [id, port] : ports_) {
    if (!port.to_grant.empty()) {
      choices.push_back([this, id = id, &port = port] {
        Credit credit;
        credit.slots[port.to_grant.back()] = 1;
        port.to_grant.pop_back();
        Turn turn;
        nodes_[port.process].core->OnCredit(id, FrameKind::kTile, credit, turn);
        Handle(port.process, std::move(turn));
      });
    }
    if (!port.gradients.empty() &&
        port.gradient_credit.Has(plan_.tiles[port.gradients.front().tile].slot)) {
      choices.push_back([this, id = id, &port = port] { SendGradient(id, port); });
    }
  }
  if (ready_ == nodes_.size()) choices.push_back([this] { Commit(); });
  for (const auto& [steps_done, nodes] : written_) {
    if (nodes < static_cast<int>(nodes_.size()) || sealed_.contains(steps_done)) continue;
    choices.push_back([this, steps_done = steps_done] { Seal(steps_done); });
  }
  return choices.empty() ? slow : choices;
}

void ScriptedCluster::Handle(int process, Turn turn) {
  for (Action& action : turn.actions) {
    if (auto* send = std::get_if<SendAction>(&action)) OnSend(process, *send);
    if (auto* report = std::get_if<ReportAction>(&action)) OnReport(process, report->report);
    if (auto* compute = std::get_if<ComputeAction>(&action)) {
      nodes_[process].lanes[static_cast<int>(compute->lane)].push_back(std::move(*compute));
    }
    if (auto* grant = std::get_if<GrantAction>(&action)) {
      EXPECT_EQ(grant->kind, FrameKind::kGradient);
      ports_.at(grant->channel).gradient_credit.Add(grant->credit);
    }
  }
}

void ScriptedCluster::OnSend(int process, const SendAction& send) {
  Port& port = ports_.at(send.channel);
  ASSERT_LT(port.received, port.tiles.size()) << Describe(send.header);
  const FrameHeader& expected = port.tiles[port.received++];
  EXPECT_EQ(Encode(send.header), Encode(expected))
      << "got " << Describe(send.header) << ", expected " << Describe(expected);
  CheckPayload(send);
  sent_.push_back({process, send});
  port.to_grant.push_back(plan_.tiles[send.header.tile].slot);
  if (static_cast<PassKind>(send.header.pass) != PassKind::kBackward) return;
  ++backward_tiles_[WaveIndex(plan_, send.header)];
  MakeGradients();
}

void ScriptedCluster::CheckPayload(const SendAction& send) const {
  const bool after = static_cast<PassKind>(send.header.pass) == PassKind::kValidation;
  const uint64_t version = send.header.step + (after ? 1 : 0);
  ASSERT_LE(version, committed_) << Describe(send.header) << " sent before its commit";
  const std::vector<float>& weights = oracle_.After(version)[send.header.tile].weights;
  if (plan_.wire == Dtype::kF32) {
    EXPECT_EQ(std::memcmp(send.payload, weights.data(), send.header.length), 0)
        << Describe(send.header);
    return;
  }
  const auto* sent = reinterpret_cast<const Bf16*>(send.payload);
  for (size_t i = 0; i < weights.size(); ++i) {
    ASSERT_EQ(sent[i].bits, ToBf16(weights[i]).bits) << Describe(send.header) << " at " << i;
  }
}

void ScriptedCluster::MakeGradients() {
  while (backward_tiles_[next_wave_] == plan_.program.backward_stream.size()) {
    const uint64_t step = next_wave_ / plan_.waves;
    const int wave = static_cast<int>(next_wave_ % plan_.waves);
    ++next_wave_;
    for (const GradientItem& item : plan_.program.gradient_stream) {
      const Tile& tile = plan_.tiles[item.tile];
      for (auto& [id, port] : ports_) {
        if (!plan_.Holds(port.process, item.tile)) continue;
        if (plan_.channels[id].plane != tile.plane) continue;
        for (const BlockRange& block : BlocksFrom(plan_, plan_.channels[id].down, wave)) {
          FrameHeader header;
          header.kind = FrameKind::kGradient;
          header.pass = static_cast<uint8_t>(PassKind::kBackward);
          header.contribution = static_cast<uint8_t>(item.contribution);
          header.range_lo = block.lo;
          header.range_level = block.level;
          header.epoch = kEpoch;
          header.step = step;
          header.wave = wave;
          header.tile = item.tile;
          header.length = plan_.GradientBytes(item.tile);
          port.gradients.push_back(header);
        }
      }
    }
  }
}

void ScriptedCluster::SendGradient(ChannelId channel, Port& port) {
  const FrameHeader header = port.gradients.front();
  port.gradients.pop_front();
  port.gradient_credit.Spend(plan_.tiles[header.tile].slot);
  RoleCore& core = *nodes_[port.process].core;
  ExpectRefused(core, channel, header);
  const auto buffer = core.BufferFor(channel, header);
  ASSERT_TRUE(buffer.ok()) << buffer.status();
  ASSERT_EQ(buffer->size(), header.length);
  const std::vector<float> block = oracle_.Block(header.step, header.tile, header.contribution,
                                                 {header.range_lo, header.range_level});
  std::memcpy(buffer->data(), block.data(), header.length);
  Turn turn;
  EXPECT_TRUE(core.OnFrame(channel, header, turn).ok());
  Handle(port.process, std::move(turn));
  EXPECT_FALSE(core.BufferFor(channel, header).ok()) << "twice: " << Describe(header);
}

void ScriptedCluster::ExpectRefused(RoleCore& core, ChannelId channel, const FrameHeader& good) {
  std::vector<FrameHeader> bad(10, good);
  bad[0].kind = FrameKind::kTile;
  bad[1].dtype ^= 1;
  bad[2].contribution += 1;
  bad[3].range_level += 1;
  bad[4].range_lo += 1;
  bad[5].epoch -= 1;
  bad[6].step += 1;
  bad[7].wave += 1;
  bad[8].tile = 1 << 30;
  bad[9].length -= 4;
  for (const FrameHeader& header : bad) {
    EXPECT_EQ(core.BufferFor(channel, header).status().code(), absl::StatusCode::kInvalidArgument)
        << Describe(header);
  }
}

void ScriptedCluster::OnReport(int process, const NodeReport& report) {
  if (report.has_checkpoint_written()) {
    const CheckpointWritten& written = report.checkpoint_written();
    if (written.error().empty()) {
      ++written_[written.steps_done()];
    } else {
      checkpoint_errors_.push_back(written.error());
    }
    return;
  }
  ASSERT_TRUE(report.has_gradients_ready());
  const GradientsReady& ready = report.gradients_ready();
  EXPECT_EQ(ready.step(), committed_);
  ASSERT_EQ(ready.tile_size(), ready.square_sum_size());
  for (int i = 0; i < ready.tile_size(); ++i) {
    EXPECT_TRUE(plan_.Holds(process, ready.tile(i)));
    EXPECT_EQ(ready.square_sum(i), oracle_.square_sum(committed_, ready.tile(i)));
  }
  ++ready_;
}

void ScriptedCluster::Commit() {
  before_commit(committed_);
  CommitRequest request;
  request.set_epoch(kEpoch);
  request.set_step(committed_);
  request.set_clip_factor(oracle_.clip_factor(committed_));
  request.set_learning_rate(plan_.LearningRate(committed_));
  ready_ = 0;
  ++committed_;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    Turn turn;
    EXPECT_TRUE(nodes_[i].core->OnCommit(request, turn).ok());
    Handle(static_cast<int>(i), std::move(turn));
  }
  CommitAgain(request);
}

// The same commit again changes nothing; one of another step is refused.
void ScriptedCluster::CommitAgain(const CommitRequest& request) {
  CommitRequest later = request;
  later.set_step(request.step() + 2);
  for (Node& node : nodes_) {
    Turn turn;
    EXPECT_TRUE(node.core->OnCommit(request, turn).ok());
    EXPECT_EQ(node.core->OnCommit(later, turn).code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_TRUE(turn.actions.empty());
  }
}

void ScriptedCluster::Seal(uint64_t steps_done) {
  SealRequest request;
  request.set_steps_done(steps_done);
  const auto reply = nodes_[0].role->Seal(request);
  ASSERT_TRUE(reply.ok()) << reply.status();
  sealed_[steps_done] = *reply;
}

bool ScriptedCluster::done() const {
  const bool received = std::all_of(ports_.begin(), ports_.end(), [](const auto& port) {
    return port.second.received == port.second.tiles.size();
  });
  return received && committed_ == plan_.job.training().steps();
}

}  // namespace waferstream
