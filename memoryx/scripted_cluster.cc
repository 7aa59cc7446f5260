#include "memoryx/scripted_cluster.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "base/exact_sum.h"
#include "base/status.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/posix_disk.h"
#include "core/fault.h"
#include "plan/optimizer_state.h"
#include "plan/shard_squares.h"
#include "plan/topology.h"

namespace waferstream {
namespace {

uint64_t WaveIndex(const Plan& plan, const FrameHeader& header) {
  return header.step * plan.waves + header.wave;
}

}  // namespace

ScriptedCluster::Roles ScriptedCluster::NewRoles(int processes, Disk& disk,
                                                 const MemoryxRole::MakeFaults& make_faults) {
  Roles roles;
  for (int i = 0; i < processes; ++i)
    roles.push_back(std::make_shared<MemoryxRole>(disk, make_faults));
  return roles;
}

ScriptedCluster::ScriptedCluster(const Plan& plan, const EagerTrainer& oracle, uint64_t start_step,
                                 uint64_t seed)
    : ScriptedCluster(plan, oracle, NewRoles(plan.shape.memoryx, PosixDisk()),
                      {.seed = seed, .start_step = start_step}) {}

ScriptedCluster::ScriptedCluster(const Plan& plan, const EagerTrainer& oracle, Roles roles,
                                 Options options)
    : plan_(plan),
      oracle_(oracle),
      roles_(std::move(roles)),
      options_(std::move(options)),
      random_(options_.seed),
      nodes_(plan.shape.memoryx),
      next_wave_(options_.start_step * plan.waves),
      committed_(options_.start_step) {
  WS_CHECK(roles_.size() == nodes_.size());
  filling_ = options_.filled_tiles;
  for (const Channel& channel : plan.channels) {
    if (channel.kind == ChannelKind::kCopy) {
      copies_[channel.id];
    } else if (channel.up.role == MEMORYX) {
      ports_[channel.id].process = channel.up.process;
    }
  }
  ExpectTiles();
  for (int process = 0; process < plan.shape.memoryx; ++process) PrepareNode(process);
}

PrepareRequest ScriptedCluster::RequestFor(int process, const Options& options) {
  PrepareRequest request;
  request.set_job_id("job");
  request.set_epoch(options.epoch);
  request.set_role(MEMORYX);
  request.set_index(process);
  for (int i = 0; i <= process; ++i) request.mutable_roster()->add_memoryx();
  request.set_start_step(options.start_step);
  request.set_keep(options.keep);
  if (options.last_commit) *request.mutable_last_commit() = *options.last_commit;
  request.set_restore(options.restore);
  request.set_checkpoint_now(options.checkpoint_now);
  return request;
}

void ScriptedCluster::PrepareNode(int process) {
  PrepareReply reply;
  PrepareRequest request = RequestFor(process, options_);
  for (size_t s = 0; s < plan_.shape.shards.size(); ++s) {
    ShardOwners* shard = request.add_shards();
    for (const int filler : plan_.shape.shards[s].filling) {
      const auto at = options_.filled_tiles.find({static_cast<int>(s), filler});
      shard->add_filling(filler);
      shard->add_filled_tiles(at == options_.filled_tiles.end() ? 0 : at->second);
    }
  }
  auto core = roles_[process]->Prepare(request, plan_, &reply);
  ASSERT_TRUE(core.ok()) << core.status();
  nodes_[process].core = *std::move(core);
  resident_bytes_ += reply.resident_bytes();
}

void ScriptedCluster::ExpectTiles() {
  for (auto& [id, port] : ports_) {
    for (auto pass = FirstPass(plan_, options_.start_step); pass; pass = NextPass(plan_, *pass)) {
      for (const int tile : StreamOf(plan_, pass->kind)) {
        const Tile& shape = plan_.tiles[tile];
        if (plan_.Primary(tile) != port.process || shape.plane != plan_.channels[id].plane)
          continue;
        FrameHeader header;
        header.kind = FrameKind::kTile;
        header.dtype = static_cast<uint8_t>(plan_.wire);
        header.pass = static_cast<uint8_t>(pass->kind);
        header.epoch = options_.epoch;
        header.step = pass->step;
        header.wave = pass->wave;
        header.tile = tile;
        header.length = plan_.TileBytes(tile);
        port.tiles.push_back(header);
      }
    }
  }
}

void ScriptedCluster::Start() {
  started_ = true;
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
}

bool ScriptedCluster::RunFor(int events) {
  if (testing::Test::HasFailure()) return false;
  if (!started_) Start();
  for (int i = 0; i < events; ++i) {
    const std::vector<Choice> choices = Choices();
    if (choices.empty()) return false;
    choices[random_() % choices.size()]();
    if (testing::Test::HasFailure() || failure_) return false;
  }
  return true;
}

bool ScriptedCluster::Run() {
  while (RunFor(1 << 20)) {
  }
  if (testing::Test::HasFailure()) return false;
  EXPECT_TRUE(done()) << "stuck after " << committed_ << " commits";
  return done();
}

void ScriptedCluster::Stop() {
  for (Node& node : nodes_) {
    for (auto& lane : node.lanes) {
      Serial serial;
      if (!lane.empty() && random_() % 2 == 0) (void)lane.front().work(serial);
      lane.clear();
    }
    node.core.reset();
  }
}

// -- what may happen next ----------------------------------------------------------------------

std::vector<ScriptedCluster::Choice> ScriptedCluster::Choices() {
  std::vector<Choice> choices, slow;
  AddLanes(choices, slow);
  for (size_t i = 0; i < sent_.size(); ++i) {
    (slow_edges ? slow : choices).push_back([this, i] { LetGo(i); });
  }
  AddTraffic(choices);
  AddCopies(choices, slow);
  AddController(choices, slow);
  return choices.empty() ? slow : choices;
}

void ScriptedCluster::AddLanes(std::vector<Choice>& choices, std::vector<Choice>& slow) {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    for (const Lane lane : {Lane::kCompute, Lane::kDisk}) {
      auto& queue = nodes_[i].lanes[static_cast<int>(lane)];
      if (queue.empty()) continue;
      (lane == Lane::kDisk && slow_edges ? slow : choices).push_back([this, i, &queue] {
        RunLane(static_cast<int>(i), queue);
      });
    }
  }
}

void ScriptedCluster::AddTraffic(std::vector<Choice>& choices) {
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
}

void ScriptedCluster::AddCopies(std::vector<Choice>& choices, std::vector<Choice>& slow) {
  for (auto& [id, copies] : copies_) {
    if (!copies.on_their_way.empty()) {
      (slow_copies ? slow : choices).push_back([this, id = id, &copies = copies] {
        DeliverCopy(id, copies);
      });
    }
    if (copies.to_grant.empty()) continue;
    choices.push_back([this, id = id, &copies = copies] {
      const Credit credit = copies.to_grant.front();
      copies.to_grant.pop_front();
      const int process = plan_.channels[id].up.process;
      Turn turn;
      nodes_[process].core->OnCredit(id, FrameKind::kTile, credit, turn);
      Handle(process, std::move(turn));
    });
  }
}

void ScriptedCluster::AddController(std::vector<Choice>& choices, std::vector<Choice>& slow) {
  if (ready_ == nodes_.size()) choices.push_back([this] { Commit(); });
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i].to_hear) continue;
    (slow_commits ? slow : choices).push_back([this, i] { Hear(static_cast<int>(i)); });
  }
  for (const auto& [steps_done, nodes] : written_) {
    if (nodes < static_cast<int>(nodes_.size()) || sealed_.contains(steps_done)) continue;
    choices.push_back([this, steps_done = steps_done] { Seal(steps_done); });
  }
}

// -- what the cores want -----------------------------------------------------------------------

void ScriptedCluster::Handle(int process, Turn turn) {
  for (Action& action : turn.actions) {
    if (auto* send = std::get_if<SendAction>(&action)) OnSend(process, *send);
    if (auto* report = std::get_if<ReportAction>(&action)) OnReport(process, report->report);
    if (auto* compute = std::get_if<ComputeAction>(&action)) {
      nodes_[process].lanes[static_cast<int>(compute->lane)].push_back(std::move(*compute));
    }
    if (auto* grant = std::get_if<GrantAction>(&action)) {
      const bool copy = copies_.contains(grant->channel);
      EXPECT_EQ(grant->kind, copy ? FrameKind::kTile : FrameKind::kGradient);
      if (copy) {
        copies_.at(grant->channel).to_grant.push_back(grant->credit);
      } else {
        ports_.at(grant->channel).gradient_credit.Add(grant->credit);
      }
    }
  }
}

void ScriptedCluster::RunLane(int process, std::deque<ComputeAction>& lane) {
  const ComputeAction action = std::move(lane.front());
  lane.pop_front();
  Serial serial;
  Turn turn;
  const absl::Status done =
      nodes_[process].core->OnComputeDone(action.id, action.work(serial), turn);
  if (!done.ok()) {
    EXPECT_TRUE(damaged) << done;
    failure_ = Failure{process, FaultOf(done)};
    return;
  }
  Handle(process, std::move(turn));
}

void ScriptedCluster::LetGo(size_t index) {
  const Sent sent = sent_[index];
  sent_.erase(sent_.begin() + static_cast<ptrdiff_t>(index));
  CheckPayload(sent.send);
  Turn turn;
  nodes_[sent.process].core->OnSent(sent.send.token, turn);
  Handle(sent.process, std::move(turn));
}

void ScriptedCluster::OnSend(int process, const SendAction& send) {
  if (copies_.contains(send.channel)) {
    CheckPayload(send);
    copies_.at(send.channel).on_their_way.push_back(send);
    sent_.push_back({process, send});
    return;
  }
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
  if (damaged) return;
  if (copies_.contains(send.channel)) return CheckCopy(send);
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

// Weights, then states, of the step that the header says.
void ScriptedCluster::CheckCopy(const SendAction& send) const {
  ASSERT_LE(send.header.step, committed_);
  const EagerTrainer::TileState& expected = oracle_.After(send.header.step)[send.header.tile];
  const auto weights = std::as_bytes(std::span(expected.weights));
  std::vector<std::byte> all(weights.begin(), weights.end());
  for (const auto& state : expected.states) all.insert(all.end(), state.begin(), state.end());
  ASSERT_EQ(send.header.length, all.size());
  EXPECT_EQ(std::memcmp(send.payload, all.data(), send.header.length), 0) << Describe(send.header);
}

void ScriptedCluster::DeliverCopy(ChannelId channel, Copies& copies) {
  const SendAction send = copies.on_their_way.front();
  copies.on_their_way.pop_front();
  const int process = plan_.channels[channel].down.process;
  RoleCore& core = *nodes_[process].core;
  ExpectRefused(core, channel, send.header);
  const auto buffer = core.BufferFor(channel, send.header);
  ASSERT_TRUE(buffer.ok()) << buffer.status();
  ASSERT_EQ(buffer->size(), send.header.length);
  std::memcpy(buffer->data(), send.payload, send.header.length);
  Turn turn;
  EXPECT_TRUE(core.OnFrame(channel, send.header, buffer->data(), turn).ok());
  Handle(process, std::move(turn));
  EXPECT_FALSE(core.BufferFor(channel, send.header).ok()) << "twice: " << Describe(send.header);
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
          header.epoch = options_.epoch;
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
  EXPECT_TRUE(core.OnFrame(channel, header, buffer->data(), turn).ok());
  Handle(port.process, std::move(turn));
  EXPECT_FALSE(core.BufferFor(channel, header).ok()) << "twice: " << Describe(header);
}

void ScriptedCluster::ExpectRefused(RoleCore& core, ChannelId channel, const FrameHeader& good) {
  std::vector<FrameHeader> bad(10, good);
  bad[0].kind = good.kind == FrameKind::kTile ? FrameKind::kGradient : FrameKind::kTile;
  bad[1].dtype ^= 1;
  bad[2].contribution += 1;
  bad[3].range_level += 1;
  bad[4].range_lo += 1;
  bad[5].epoch -= 1;
  bad[6].step += 3;
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
  if (report.has_shard_filled()) {
    const int shard = static_cast<int>(report.shard_filled().shard());
    EXPECT_TRUE(filled_.insert({process, shard}).second) << "filled twice";
    filling_.erase({shard, process});
    return;
  }
  if (report.has_shard_filling()) {
    const int shard = static_cast<int>(report.shard_filling().shard());
    size_t& tiles = filling_[{shard, process}];
    EXPECT_GT(report.shard_filling().tiles(), tiles);
    tiles = report.shard_filling().tiles();
    return;
  }
  ASSERT_TRUE(report.has_gradients_ready());
  const GradientsReady& ready = report.gradients_ready();
  EXPECT_EQ(ready.step(), committed_);
  ExactSum expected, got;
  for (int tile = 0; tile < static_cast<int>(plan_.tiles.size()); ++tile) {
    if (plan_.Holds(process, tile)) expected.Add(oracle_.square_sum(committed_, tile));
  }
  for (const ShardSquares& shard : ready.shards()) got.Add(*SumOf(shard));
  EXPECT_TRUE(got == expected);
  ++ready_;
}

void ScriptedCluster::Commit() {
  before_commit(committed_);
  CommitRequest request;
  request.set_epoch(options_.epoch);
  request.set_step(committed_);
  request.set_clip_factor(oracle_.clip_factor(committed_));
  request.set_learning_rate(plan_.LearningRate(committed_));
  ready_ = 0;
  ++committed_;
  last_commit_ = request;
  for (Node& node : nodes_) {
    WS_CHECK(!node.to_hear);
    node.to_hear = request;
  }
}

void ScriptedCluster::Hear(int process) {
  Node& node = nodes_[process];
  const CommitRequest request = *std::exchange(node.to_hear, std::nullopt);
  Turn turn;
  EXPECT_TRUE(node.core->OnCommit(request, turn).ok());
  Handle(process, std::move(turn));
  HearAgain(process, request);
}

// The same commit again changes nothing; one of another step is refused.
void ScriptedCluster::HearAgain(int process, const CommitRequest& request) {
  CommitRequest later = request;
  later.set_step(request.step() + 2);
  Turn turn;
  EXPECT_TRUE(nodes_[process].core->OnCommit(request, turn).ok());
  EXPECT_EQ(nodes_[process].core->OnCommit(later, turn).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(turn.actions.empty());
}

void ScriptedCluster::Seal(uint64_t steps_done) {
  SealRequest request;
  request.set_steps_done(steps_done);
  const auto reply = roles_[0]->Seal(request);
  ASSERT_TRUE(reply.ok()) << reply.status();
  sealed_[steps_done] = *reply;
}

bool ScriptedCluster::done() const {
  const bool received = std::all_of(ports_.begin(), ports_.end(), [](const auto& port) {
    return port.second.received == port.second.tiles.size();
  });
  return received && filled_.size() == copies_.size() && committed_ == plan_.steps();
}

void ExpectCheckpoint(Disk& disk, const Plan& plan, const EagerTrainer& oracle,
                      const SealReply& sealed, uint64_t steps) {
  const StateTable states = StatesOf(plan);
  const auto reader =
      CheckpointReader::Open(disk, sealed.path(), plan.job.model(), plan.parameters, states);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_TRUE(reader->Verify().ok());
  for (size_t t = 0; t < plan.tiles.size(); ++t) {
    const Tile& tile = plan.tiles[t];
    const RowSpan rows = {tile.first_row, tile.rows};
    const EagerTrainer::TileState& expected = oracle.After(steps)[t];
    std::vector<float> values(tile.elements);
    ASSERT_TRUE(reader->ReadWeights(tile.parameter, rows, values.data()).ok());
    EXPECT_EQ(values, expected.weights) << "tile " << t << " after " << steps;
    const std::vector<OptimizerState>& kept = states[tile.parameter];
    for (size_t s = 0; s < kept.size(); ++s) {
      std::vector<std::byte> state(expected.states[s].size());
      ASSERT_TRUE(reader->ReadState(tile.parameter, s, RowsOf(kept[s], tile), state.data()).ok());
      EXPECT_EQ(state, expected.states[s]) << "tile " << t << " after " << steps;
    }
  }
}

}  // namespace waferstream
