// What MemoryX keeps from one epoch to the next, whenever the first one ends.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/mark.h"
#include "checkpoint/memory_disk.h"
#include "memoryx/memory_faults.h"
#include "memoryx/scripted_cluster.h"
#include "plan/test_job.h"
#include "plan/test_untrained.h"

namespace waferstream {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr uint64_t kSteps = 3;

JobSpec TinyJob(int processes) {
  JobSpec job = TestJob();
  ModelSpec* model = job.mutable_model();
  model->set_layers(1);
  model->set_hidden(16);
  model->set_heads(2);
  model->set_vocab(32);
  model->set_context(8);
  model->set_ffn(32);
  job.mutable_training()->set_steps(kSteps);
  job.mutable_training()->set_global_batch(2);
  job.mutable_training()->set_tile_elements(300);  // the largest parameters get several tiles
  job.mutable_cluster()->set_memoryx(processes);
  job.mutable_data()->set_validation("validation.bin");
  job.mutable_training()->set_validate_every(2);
  job.mutable_checkpoint()->set_dir("/checkpoints");
  return job;
}

// Every matrix is one tile.
JobSpec WholeJob(int processes, bool muon) {
  JobSpec job = TinyJob(processes);
  TrainingSpec* training = job.mutable_training();
  training->set_tile_elements(1024);
  if (muon) {
    const AdamW adamw = training->optimizer().adamw();
    Muon* optimizer = training->mutable_optimizer()->mutable_muon();
    optimizer->set_lr(0.02);
    optimizer->set_momentum(0.95);
    *optimizer->mutable_rest() = adamw;
  } else {
    Adafactor* optimizer = training->mutable_optimizer()->mutable_adafactor();
    optimizer->set_lr(0.02);
    optimizer->set_beta2_decay(-0.8);
    optimizer->set_eps(1e-3);
    optimizer->set_clip_threshold(1);
  }
  return job;
}

// One parameter of four is not trained: the table of positions and several vectors are among them.
Plan PlanOf(const JobSpec& job, std::vector<ShardHolders> shards) {
  ClusterShape shape = RequestedShape(job);
  shape.shards = std::move(shards);
  auto plan = CompileUntrained(job, shape, [](size_t p) { return p % 4 != 1; });
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

// One job from epoch to epoch: same roles, same disk; the members may change.
class Story {
 public:
  Story(const EagerTrainer& oracle, int processes,
        const MemoryxRole::MakeFaults& make_faults = nullptr)
      : oracle_(oracle), roles_(ScriptedCluster::NewRoles(processes, disk_, make_faults)) {}

  // Lets an epoch begin, so many things happen, and the epoch end. False: it was over before, or a
  // core failed.
  bool Epoch(const Plan& plan, uint64_t seed, int events) {
    ScriptedCluster cluster(plan, oracle_, roles_, Next(seed));
    cluster.damaged = damaged;
    cluster.slow_commits = seed % 2 == 0;
    cluster.slow_copies = seed % 3 == 0;
    const bool more = cluster.RunFor(events);
    Remember(cluster);
    cluster.Stop();
    return more;
  }
  // The same to the job's end.
  void Finish(const Plan& plan, uint64_t seed) {
    ScriptedCluster cluster(plan, oracle_, roles_, Next(seed));
    ASSERT_TRUE(cluster.Run());
    Remember(cluster);
    ASSERT_TRUE(sealed_.contains(kSteps));
    ExpectCheckpoint(disk_, plan, oracle_, sealed_.at(kSteps), kSteps);
  }
  // The process dies; another one takes its place.
  void Lose(int process) {
    roles_[process] = std::make_shared<MemoryxRole>(disk_);
    std::erase_if(filling_, [&](const auto& fill) { return fill.first.second == process; });
  }

  uint64_t committed() const { return committed_; }
  const std::set<std::pair<int, int>>& filled() const { return filled_; }  // in the last epoch
  // Of the last epoch.
  const std::optional<ScriptedCluster::Failure>& failure() const { return failure_; }
  MemoryxRole& role(int process) { return *roles_[process]; }

  bool damaged = false;
  // The next epoch goes on with the fills of the last one, and has them in its plan.
  bool fills_go_on = false;

 private:
  ScriptedCluster::Options Next(uint64_t seed) {
    ++epoch_;
    const bool unsealed = committed_ == kSteps && !sealed_.contains(kSteps);
    return {.seed = seed,
            .start_step = committed_,
            .epoch = epoch_,
            .keep = epoch_ > 1,
            .last_commit = last_commit_,
            .checkpoint_now = unsealed,
            .filled_tiles = filling_};
  }
  void Remember(const ScriptedCluster& cluster) {
    committed_ = cluster.committed();
    if (cluster.last_commit()) last_commit_ = cluster.last_commit();
    sealed_.insert(cluster.sealed().begin(), cluster.sealed().end());
    filled_ = cluster.filled();
    if (fills_go_on) filling_ = cluster.filling();
    failure_ = cluster.failure();
  }

  const EagerTrainer& oracle_;
  MemoryDisk tree_{1};
  MemoryDisk::View disk_{tree_};
  ScriptedCluster::Roles roles_;
  uint32_t epoch_ = 0;
  uint64_t committed_ = 0;
  std::optional<CommitRequest> last_commit_;
  std::map<uint64_t, SealReply> sealed_;
  std::set<std::pair<int, int>> filled_;
  std::map<std::pair<int, int>, size_t> filling_;
  std::optional<ScriptedCluster::Failure> failure_;
};

// Whatever an epoch was doing when it ended, the next one goes on to the same bits; also when the
// other owner of a shard is now the one that streams it. Process 1 streams nothing at first, so
// that it can be the last to hear of a commit.
class KillAtEveryEvent : public testing::TestWithParam<bool> {};

TEST_P(KillAtEveryEvent, TheNextEpochGoesOn) {
  const bool swap = GetParam();
  const JobSpec job = TinyJob(2);
  const Plan plan = PlanOf(job, {{{0, 1}, {}}, {{0, 1}, {}}});
  const Plan swapped = PlanOf(job, {{{1, 0}, {}}, {{0, 1}, {}}});
  const EagerTrainer oracle(plan);
  const uint64_t adopted = Marks::Count("memoryx: adopted an unannounced commit");
  const uint64_t left_due = Marks::Count("memoryx: an update that an epoch left due");
  const uint64_t early = Marks::Count("memoryx: a gradient ahead of its commit");
  bool more = true;
  for (int events = 0; more; ++events) {
    SCOPED_TRACE(absl::StrCat("killed after ", events, " events"));
    Story story(oracle, 2);
    more = story.Epoch(plan, events + 1, events);
    story.Finish(swap ? swapped : plan, events + 1000000);
    if (HasFailure()) return;
  }
  EXPECT_GT(Marks::Count("memoryx: adopted an unannounced commit"), adopted);
  EXPECT_GT(Marks::Count("memoryx: an update that an epoch left due"), left_due);
  EXPECT_GT(Marks::Count("memoryx: a gradient ahead of its commit"), early);
}

INSTANTIATE_TEST_SUITE_P(Owners, KillAtEveryEvent, testing::Bool(),
                         [](const auto& info) { return info.param ? "Swapped" : "TheSame"; });

// Who owns which shard, as a controller would know it.
class Membership {
 public:
  explicit Membership(int processes) : processes_(processes) {
    for (int s = 0; s < processes; ++s) owners_.push_back({s});
  }

  void Filled(const std::set<std::pair<int, int>>& filled) {
    for (const auto& [process, shard] : filled) owners_[shard].push_back(process);
  }
  // False, and nothing changes: it is the only owner of a shard.
  bool Lose(int process) {
    for (const auto& owners : owners_) {
      if (owners == std::vector<int>{process}) return false;
    }
    for (auto& owners : owners_) std::erase(owners, process);
    return true;
  }
  // Any owner is the primary; any other process may fill.
  std::vector<ShardHolders> Draw(std::mt19937_64& random) {
    std::vector<ShardHolders> shards;
    for (auto& owners : owners_) {
      std::shuffle(owners.begin(), owners.end(), random);
      shards.push_back({owners, {}});
      for (int p = 0; p < processes_; ++p) {
        const bool owns = std::find(owners.begin(), owners.end(), p) != owners.end();
        if (!owns && random() % 3 != 0) shards.back().filling.push_back(p);
      }
    }
    return shards;
  }

 private:
  const int processes_;
  std::vector<std::vector<int>> owners_;  // by shard
};

// Members come and go at random moments: who is lost is replaced, and fills what it has lost; who
// has filled a shard may be its primary next.
void LoseAndFill(const JobSpec& job, uint64_t stories) {
  constexpr int kProcesses = 3, kEpochs = 4;
  const Plan first = PlanOf(job, {});
  const EagerTrainer oracle(first);
  size_t fills = 0, losses = 0;
  for (uint64_t seed = 1; seed <= stories; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937_64 random(seed);
    Story story(oracle, kProcesses);
    Membership members(kProcesses);
    for (int epoch = 0; epoch < kEpochs; ++epoch) {
      story.Epoch(PlanOf(job, members.Draw(random)), random(), static_cast<int>(random() % 600));
      if (testing::Test::HasFailure()) return;
      fills += story.filled().size();
      members.Filled(story.filled());
      const int lost = static_cast<int>(random() % kProcesses);
      if (!members.Lose(lost)) continue;
      story.Lose(lost);
      ++losses;
    }
    story.Finish(PlanOf(job, members.Draw(random)), random());
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(fills, 10u);
  EXPECT_GT(losses, 10u);
}

TEST(Recovery, LossesAndFillsEndEqual) {
  const char* const rare[] = {"memoryx: a copy whose update is due",
                              "memoryx: a copy ahead of its commit"};
  const uint64_t before[] = {Marks::Count(rare[0]), Marks::Count(rare[1])};
  LoseAndFill(TinyJob(3), 60);
  for (int i = 0; i < 2; ++i) EXPECT_GT(Marks::Count(rare[i]), before[i]) << rare[i];
}

// Sums of rows and columns, and updates that share a workspace.
TEST(Recovery, LossesAndFillsOfWholeTilesEndEqual) {
  LoseAndFill(WholeJob(3, /*muon=*/false), 20);
  LoseAndFill(WholeJob(3, /*muon=*/true), 20);
}

// A fill that is cut short goes on in the next epoch, behind the tiles that are there; whenever
// that is, and whoever streams then.
TEST(Recovery, AnInterruptedFillGoesOnWhereItWas) {
  const JobSpec job = TinyJob(3);
  const Plan plan = PlanOf(job, {{{0, 2}, {1}}, {{2, 0}, {1}}, {{2, 0}, {}}});
  const Plan other_streams = PlanOf(job, {{{2, 0}, {1}}, {{0, 2}, {1}}, {{0, 2}, {}}});
  // Everything is loaded at first, by all who are to have it.
  const Plan first = PlanOf(job, {{{0, 2}, {}}, {{2, 0}, {}}, {{2, 0}, {}}});
  const EagerTrainer oracle(first);
  const uint64_t went_on = Marks::Count("memoryx: a fill went on where it was");
  for (int events = 0; events < 700; events += 7) {
    SCOPED_TRACE(absl::StrCat("cut short after ", events, " events"));
    Story story(oracle, 3);
    story.fills_go_on = true;
    story.Epoch(first, events + 1, events % 90);
    story.Epoch(plan, events + 2, events);
    if (!story.filled().empty()) break;  // of a shard: the plan would change
    story.Epoch(events % 2 == 0 ? plan : other_streams, events + 3, events / 2);
    if (story.filled().empty()) story.Finish(events % 3 == 0 ? plan : other_streams, events + 4);
    if (HasFailure()) return;
  }
  EXPECT_GT(Marks::Count("memoryx: a fill went on where it was"), went_on + 10);
}

// -- what is refused ---------------------------------------------------------------------------

class Keep : public testing::Test {
 protected:
  absl::Status Prepare(MemoryxRole& role, uint64_t start_step, const std::string& job_id = "job") {
    PrepareRequest request =
        ScriptedCluster::RequestFor(0, {.start_step = start_step, .epoch = 100, .keep = true});
    request.set_job_id(job_id);
    PrepareReply reply;
    return role.Prepare(request, plan_, &reply).status();
  }

  const Plan plan_ = PlanOf(TinyJob(1), {});
  const EagerTrainer oracle_{plan_};
};

TEST_F(Keep, NeedsShardsOfThisJob) {
  Story story(oracle_, 1);
  EXPECT_EQ(Prepare(story.role(0), 0).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Prepare(story.role(0), 0).message(), "does not hold shard 0");
  story.Epoch(plan_, 1, 0);
  EXPECT_TRUE(Prepare(story.role(0), 0).ok());
  EXPECT_TRUE(Prepare(story.role(0), 0).ok()) << "again";
  story.role(0).Release();
  EXPECT_EQ(Prepare(story.role(0), 0).message(), "does not hold shard 0");
  story.Lose(0);
  EXPECT_EQ(Prepare(story.role(0), 0, "another").message(), "does not hold shard 0");
}

TEST_F(Keep, AnotherJobForgets) {
  Story story(oracle_, 1);
  story.Epoch(plan_, 1, 0);
  EXPECT_EQ(Prepare(story.role(0), 0, "another").message(), "does not hold shard 0");
  EXPECT_EQ(Prepare(story.role(0), 0).message(), "does not hold shard 0");
}

TEST_F(Keep, RefusesAStepItIsNotAtAndKeepsWhatItHas) {
  Story story(oracle_, 1);
  for (int events = 0; story.committed() < 2; events += 50) story.Epoch(plan_, 1, events);
  const absl::Status ahead = Prepare(story.role(0), kSteps + 1);
  EXPECT_EQ(ahead.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(ahead.message()), HasSubstr("steps, not after 4"));
  EXPECT_THAT(std::string(Prepare(story.role(0), 0).message()), HasSubstr("steps, not after 0"));
  story.Finish(plan_, 1);
}

// Process 1 has some tiles of shard 0, which it fills, and not all.
class Unfinished : public testing::Test {
 protected:
  void SetUp() override {
    story_.Epoch(plan_, 1, 20);
    ASSERT_TRUE(story_.filled().empty());
  }

  const JobSpec job_ = TinyJob(2);
  const Plan plan_ = PlanOf(job_, {{{0}, {1}}, {{1}, {}}});
  const EagerTrainer oracle_{plan_};
  Story story_{oracle_, 2};
};

TEST_F(Unfinished, FillIsNotAShard) {
  const Plan promoted = PlanOf(job_, {{{1}, {}}, {{1}, {}}});
  PrepareReply reply;
  const absl::Status status =
      story_.role(1)
          .Prepare(ScriptedCluster::RequestFor(1, {.epoch = 100, .keep = true}), promoted, &reply)
          .status();
  EXPECT_EQ(status.message(), "does not hold shard 0");
}

TEST_F(Unfinished, FillIsDeniedWhatItHasNot) {
  const auto prepare = [&](uint64_t tiles, uint64_t start_step) {
    PrepareRequest request =
        ScriptedCluster::RequestFor(1, {.start_step = start_step, .epoch = 100, .keep = true});
    ShardOwners* shard = request.add_shards();
    shard->add_filling(1);
    shard->add_filled_tiles(tiles);
    PrepareReply reply;
    return story_.role(1).Prepare(request, plan_, &reply).status();
  };
  EXPECT_EQ(prepare(1000, 0).message(), "does not hold 1000 tiles of shard 0");
  const size_t all = static_cast<size_t>(std::count_if(
      plan_.tiles.begin(), plan_.tiles.end(), [](const Tile& tile) { return tile.shard == 0; }));
  EXPECT_EQ(prepare(all, 0).message(),
            absl::StrCat("does not hold ", all, " tiles of shard 0 after 0 steps"));
  EXPECT_TRUE(prepare(0, 0).ok());
}

// -- damage ------------------------------------------------------------------------------------

// One bit of one tile flips when it gets to a version: on one machine, the first that gets there.
struct Flip {
  int tile;
  uint64_t version;
  bool in_states;
  bool done = false;
};

class FlippingMemory final : public MemoryFaults {
 public:
  explicit FlippingMemory(Flip& flip) : flip_(flip) {}

  void OnWritten(int tile, uint64_t version, std::span<std::byte> bytes) override {
    if (flip_.done || tile != flip_.tile || version != flip_.version) return;
    bytes[flip_.in_states ? bytes.size() - 1 : 0] ^= std::byte{4};
    flip_.done = true;
  }

 private:
  Flip& flip_;
};

class Damage : public testing::TestWithParam<std::tuple<uint64_t, bool>> {
 protected:
  static void ExpectForgotten(Story& story, int process, int shard, const Plan& plan) {
    PrepareReply reply;
    const auto request = ScriptedCluster::RequestFor(
        process, {.start_step = story.committed(), .epoch = 100, .keep = true});
    const absl::Status status = story.role(process).Prepare(request, plan, &reply).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(status.message(), absl::StrCat("does not hold shard ", shard));
  }
};

// A process with a damaged tile stops before what it did with it is history, forgets that shard and
// no other; a copy of the shard elsewhere carries the job to the same bits.
TEST_P(Damage, IsFoundAndTheOtherOwnerGoesOn) {
  const auto [version, in_states] = GetParam();
  const JobSpec job = TinyJob(2);
  const Plan plan = PlanOf(job, {{{0, 1}, {}}, {{1, 0}, {}}});
  const EagerTrainer oracle(plan);
  for (int tile = 0; tile < static_cast<int>(plan.tiles.size()); tile += 3) {
    SCOPED_TRACE(absl::StrCat("tile ", tile));
    const int shard = plan.tiles[tile].shard;
    Flip flip = {tile, version, in_states};
    Story story(oracle, 2,
                [&](const std::string&) { return std::make_unique<FlippingMemory>(flip); });
    story.damaged = true;
    EXPECT_FALSE(story.Epoch(plan, tile + 1, 1 << 20));
    ASSERT_TRUE(story.failure());
    const auto& [process, fault] = *story.failure();
    EXPECT_THAT(fault.damaged_shards(), ElementsAre(shard));
    const std::string& parameter = plan.parameters[plan.tiles[tile].parameter].name;
    EXPECT_THAT(fault.message(), HasSubstr(absl::StrCat("tile ", tile, " (", parameter,
                                                        ") of shard ", shard, " is damaged")));
    // Weights are found before their step's commit, states before they are used; what is not
    // trained has none.
    const bool trained = plan.parameters[plan.tiles[tile].parameter].trained;
    EXPECT_EQ(story.committed(), in_states && trained ? version + 1 : version);

    ExpectForgotten(story, process, shard, plan);
    std::vector<ShardHolders> holders = plan.shape.shards;
    holders[shard] = {{1 - process}, {process}};
    story.damaged = false;
    story.Finish(PlanOf(job, holders), tile + 1);
    EXPECT_EQ(story.filled().count({process, shard}), 1u);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Damage,
                         testing::Combine(testing::Values(0u, 1u, 2u), testing::Bool()));

}  // namespace
}  // namespace waferstream
