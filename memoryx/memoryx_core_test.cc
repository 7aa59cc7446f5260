#include "memoryx/memoryx_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "checkpoint/folder.h"
#include "checkpoint/ownership.h"
#include "checkpoint/posix_disk.h"
#include "memoryx/scripted_cluster.h"
#include "plan/optimizer_state.h"
#include "plan/test_job.h"
#include "plan/test_untrained.h"
#include "plan/topology.h"

namespace waferstream {
namespace fs = std::filesystem;
namespace {

using testing::HasSubstr;

std::string FreshFolder() {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  std::string name = test->name();
  for (char& c : name) c = c == '/' ? '_' : c;
  const std::string folder = absl::StrCat(testing::TempDir(), "/memoryx.", name);
  fs::remove_all(folder);
  return folder;
}

// A job whose steps have several waves, when the plan finds an SRAM size that makes them so.
Plan PlanOf(JobSpec job, int memoryx, int wafers, bool several_waves) {
  job.mutable_cluster()->set_memoryx(memoryx);
  job.mutable_cluster()->set_wafers(wafers);
  auto plan = Compile(job, RequestedShape(job));
  EXPECT_TRUE(plan.ok()) << plan.status();
  while (several_waves) {
    WaferSpec* wafer = job.mutable_cluster()->mutable_wafer();
    wafer->set_sram_bytes(wafer->sram_bytes() / 16 * 15);
    auto smaller = Compile(job, RequestedShape(job));
    if (!smaller.ok()) break;
    plan = std::move(smaller);
  }
  return *std::move(plan);
}

JobSpec SmallJob(const std::string& dir) {
  JobSpec job = TestJob();
  job.mutable_model()->set_layers(1);
  job.mutable_training()->set_steps(3);
  job.mutable_checkpoint()->set_dir(dir);
  job.mutable_checkpoint()->set_every(1);
  job.mutable_checkpoint()->set_keep(9);
  return job;
}

struct Shape {
  int memoryx;
  int wafers;
  int planes;
  Precision precision;
  uint32_t global_batch;
  bool several_waves;
  bool tied;
  bool slow_edges;
};

class MemoryxCoreTest : public testing::TestWithParam<Shape> {};

// Every order that the seed draws: the tiles sent and the checkpoints written during the stream are
// those of a trainer that updates everything at once.
TEST_P(MemoryxCoreTest, UpdatesOnTheStreamAreTheEagerOnes) {
  const Shape& shape = GetParam();
  JobSpec job = SmallJob(FreshFolder());
  job.mutable_cluster()->set_planes(shape.planes);
  job.mutable_training()->set_precision(shape.precision);
  job.mutable_training()->set_global_batch(shape.global_batch);
  job.mutable_model()->set_tied(shape.tied);
  job.mutable_data()->set_validation("validation.bin");
  job.mutable_training()->set_validate_every(2);
  const Plan plan = PlanOf(job, shape.memoryx, shape.wafers, shape.several_waves);
  if (shape.several_waves) {
    ASSERT_GT(plan.waves, 2);
  }
  const EagerTrainer oracle(plan);
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    fs::remove_all(job.checkpoint().dir());
    ScriptedCluster cluster(plan, oracle, 0, seed);
    cluster.slow_edges = shape.slow_edges;
    ASSERT_TRUE(cluster.Run()) << "seed " << seed;
    EXPECT_TRUE(cluster.checkpoint_errors().empty());
    ASSERT_EQ(cluster.sealed().size(), 3u);
    for (const auto& [steps, sealed] : cluster.sealed()) {
      ExpectCheckpoint(PosixDisk(), plan, oracle, sealed, steps);
    }
  }
}

// One parameter of two is not trained, in both ways; and then none is.
TEST(MemoryxCore, WhatIsNotTrainedStaysAsItIs) {
  for (const size_t rest : {0, 1, 2}) {
    JobSpec job = SmallJob(FreshFolder());
    job.mutable_cluster()->set_planes(2);
    const ClusterShape shape = {.wafers = 3, .memoryx = 2, .swarmx = 1, .shards = {}};
    const auto plan = CompileUntrained(job, shape, [&](size_t p) { return p % 2 == rest; });
    ASSERT_TRUE(plan.ok()) << plan.status();
    const EagerTrainer oracle(*plan);
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      fs::remove_all(job.checkpoint().dir());
      ScriptedCluster cluster(*plan, oracle, 0, seed);
      ASSERT_TRUE(cluster.Run()) << "seed " << seed;
      ASSERT_EQ(cluster.sealed().size(), 3u);
      for (const auto& [steps, sealed] : cluster.sealed()) {
        ExpectCheckpoint(PosixDisk(), *plan, oracle, sealed, steps);
      }
      EXPECT_EQ(fs::exists(cluster.sealed().at(3).path() + "/optimizer.safetensors"), rest < 2);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, MemoryxCoreTest,
                         testing::Values(Shape{1, 1, 1, F32, 8, false, true, false},
                                         Shape{1, 1, 1, BF16, 8, true, true, false},
                                         Shape{2, 3, 1, F32, 7, true, true, true},
                                         Shape{3, 2, 2, BF16, 13, true, false, true},
                                         Shape{3, 1, 2, F32, 11, true, true, false},
                                         Shape{2, 2, 2, BF16, 5, false, true, true},
                                         Shape{64, 1, 1, F32, 8, false, true,
                                               false}),  // some own nothing
                         [](const auto& info) { return absl::StrCat("Shape", info.index); });

TEST(MemoryxCore, HashesDoNotDependOnTheNumberOfNodes) {
  std::vector<std::string> weights, optimizer;
  for (const int memoryx : {1, 2, 3}) {
    const JobSpec job = SmallJob(FreshFolder());
    const Plan plan = PlanOf(job, memoryx, 1, false);
    const EagerTrainer oracle(plan);
    ScriptedCluster cluster(plan, oracle, 0, 1);
    ASSERT_TRUE(cluster.Run());
    weights.push_back(cluster.sealed().at(3).weights_hash());
    optimizer.push_back(cluster.sealed().at(3).optimizer_hash());
  }
  EXPECT_THAT(weights, testing::Each(weights[0]));
  EXPECT_THAT(optimizer, testing::Each(optimizer[0]));
}

TEST(MemoryxCore, ResumingEqualsNeverStopping) {
  JobSpec job = SmallJob(FreshFolder());
  const Plan plan = PlanOf(job, 2, 1, false);
  const EagerTrainer oracle(plan);
  SealReply last;
  std::string from;
  {
    ScriptedCluster cluster(plan, oracle, 0, 1);
    ASSERT_TRUE(cluster.Run());
    last = cluster.sealed().at(3);
    from = cluster.sealed().at(1).path();
  }
  job.mutable_checkpoint()->set_from(from);
  const Plan resumed = PlanOf(job, 3, 2, false);
  ScriptedCluster cluster(resumed, oracle, 1, 2);
  ASSERT_TRUE(cluster.Run());
  EXPECT_EQ(cluster.sealed().at(3).weights_hash(), last.weights_hash());
  EXPECT_EQ(cluster.sealed().at(3).optimizer_hash(), last.optimizer_hash());
}

TEST(MemoryxCore, SgdHoldsOnlyItsMomentum) {
  JobSpec job = SmallJob(FreshFolder());
  job.mutable_training()->mutable_optimizer()->mutable_sgd()->set_lr(0.1);
  job.mutable_training()->mutable_optimizer()->mutable_sgd()->set_momentum(0.9);
  const Plan plan = PlanOf(job, 1, 1, false);
  const EagerTrainer oracle(plan);
  ScriptedCluster cluster(plan, oracle, 0, 1);
  ASSERT_TRUE(cluster.Run());
  for (const auto& [steps, sealed] : cluster.sealed()) {
    ExpectCheckpoint(PosixDisk(), plan, oracle, sealed, steps);
  }
}

TEST(MemoryxCore, AFailedCheckpointIsReportedAndTrainingGoesOn) {
  const JobSpec job = SmallJob(FreshFolder());
  const Plan plan = PlanOf(job, 2, 1, false);
  const EagerTrainer oracle(plan);
  ScriptedCluster cluster(plan, oracle, 0, 1);
  // Where the second checkpoint's folder should go, there is a file.
  const std::string partial =
      StepFolder(EpochFolder(job.checkpoint().dir(), {"job", ScriptedCluster::kEpoch}), 2);
  cluster.before_commit = [&](uint64_t step) {
    if (step == 1) std::ofstream(partial) << "in the way";
    if (step == 2) fs::remove(partial);
  };
  ASSERT_TRUE(cluster.Run());
  ASSERT_FALSE(cluster.checkpoint_errors().empty());
  EXPECT_THAT(cluster.checkpoint_errors().front(), HasSubstr(partial));
  ASSERT_TRUE(cluster.sealed().contains(3));
  ExpectCheckpoint(PosixDisk(), plan, oracle, cluster.sealed().at(3), 3);
}

TEST(MemoryxCore, ResidentBytesAreThoseOfTheFormula) {
  const JobSpec job = SmallJob(FreshFolder());
  const Plan plan = PlanOf(job, 1, 1, false);
  const EagerTrainer oracle(plan);
  ScriptedCluster cluster(plan, oracle, 0, 1);
  size_t held = 0, gradients = 0, window = 0;
  for (const Tile& tile : plan.tiles) {
    held += HeldTile::Bytes(tile, StatesOf(plan)[tile.parameter]);
    gradients += PaddedElements(tile) * plan.parameters[tile.parameter].contributions;
  }
  for (const Channel& channel : plan.channels) {
    if (channel.up.role != MEMORYX) continue;
    window += SlotPool::WindowBytes(channel.gradient_window, {plan.gradient_slot_bytes[kSmall],
                                                              plan.gradient_slot_bytes[kLarge]});
  }
  ASSERT_EQ(plan.waves, 1);
  EXPECT_EQ(cluster.resident_bytes(), held + 4 * gradients + window);
}

TEST(MemoryxCore, BuffersFollowFromTheWaves) {
  const JobSpec job = SmallJob(FreshFolder());
  EXPECT_EQ(BuffersPerGradient(PlanOf(job, 1, 1, false)), 1);
  JobSpec long_step = job;
  long_step.mutable_training()->set_global_batch(64);
  const Plan plan = PlanOf(long_step, 1, 1, true);
  ASSERT_GE(plan.waves, 8);
  EXPECT_GE(BuffersPerGradient(plan), 2);
  EXPECT_LE(BuffersPerGradient(plan), 7);
}

class Prepare : public testing::Test {
 protected:
  absl::Status Try(const JobSpec& job, uint64_t start_step) {
    const Plan plan = PlanOf(job, 1, 1, false);
    PrepareRequest request;
    request.set_job_id("job");
    request.set_epoch(7);
    request.set_start_step(start_step);
    PrepareReply reply;
    MemoryxRole role(PosixDisk());
    return role.Prepare(request, plan, &reply).status();
  }
};

TEST_F(Prepare, RefusesWhatItCannotStartFrom) {
  JobSpec job = SmallJob(FreshFolder());
  EXPECT_EQ(Try(job, 2).code(), absl::StatusCode::kInvalidArgument);
  job.mutable_checkpoint()->set_from("/nowhere/at/all");
  EXPECT_EQ(Try(job, 0).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(Try(job, 0).message()), HasSubstr("/nowhere/at/all"));
}

TEST_F(Prepare, RefusesAnotherStepMissingStateAndDamage) {
  JobSpec job = SmallJob(FreshFolder());
  const Plan plan = PlanOf(job, 1, 1, false);
  const EagerTrainer oracle(plan);
  std::string path;
  {
    ScriptedCluster cluster(plan, oracle, 0, 1);
    ASSERT_TRUE(cluster.Run());
    path = cluster.sealed().at(2).path();
  }
  job.mutable_checkpoint()->set_from(path);
  EXPECT_TRUE(Try(job, 2).ok());
  EXPECT_TRUE(Try(job, 0).ok());  // a fresh start from these weights
  EXPECT_THAT(std::string(Try(job, 1).message()), HasSubstr("after 2 steps, not 1"));
  fs::rename(path + "/optimizer.safetensors", path + "/aside");
  EXPECT_THAT(std::string(Try(job, 2).message()), HasSubstr("optimizer.safetensors"));
  fs::rename(path + "/aside", path + "/optimizer.safetensors");
  std::fstream file(path + "/model.safetensors", std::ios::in | std::ios::out);
  file.seekp(-1, std::ios::end);
  file.put('\x7e');
  file.close();
  EXPECT_THAT(std::string(Try(job, 2).message()), HasSubstr("model.safetensors is corrupt"));
}

TEST_F(Prepare, RemovesWhatACrashOfThisJobLeftBehind) {
  const JobSpec job = SmallJob(FreshFolder());
  const std::string own = EpochFolder(job.checkpoint().dir(), {"job", 5});
  const std::string foreign = EpochFolder(job.checkpoint().dir(), {"another", 5});
  fs::create_directories(StepFolder(own, 2));
  fs::create_directories(StepFolder(foreign, 2));
  EXPECT_TRUE(Try(job, 0).ok());
  EXPECT_FALSE(fs::exists(own));
  EXPECT_TRUE(fs::exists(StepFolder(foreign, 2)));
}

TEST_F(Prepare, ReleaseLeavesNothingHalfDone) {
  const JobSpec job = SmallJob(FreshFolder());
  const Plan plan = PlanOf(job, 1, 1, false);
  const std::string& dir = job.checkpoint().dir();
  MemoryxRole role(PosixDisk());
  for (const char* id : {"one", "two"}) {
    PrepareRequest request;
    request.set_job_id(id);
    request.set_epoch(1);
    PrepareReply reply;
    ASSERT_TRUE(role.Prepare(request, plan, &reply).ok());
    EXPECT_TRUE(fs::exists(EpochFolder(dir, {id, 1})));
    EXPECT_TRUE(CheckOwner(PosixDisk(), dir, id).ok());
  }
  EXPECT_FALSE(fs::exists(EpochFolder(dir, {"one", 1})));
  role.Release();
  EXPECT_TRUE(fs::is_empty(dir));
}

// The controller has left its mark in the folder that it sees.
TEST_F(Prepare, RefusesAFolderThatOnlyThisHostSees) {
  const JobSpec job = SmallJob(FreshFolder());
  const Plan plan = PlanOf(job, 2, 1, false);
  const auto prepare = [&](uint32_t index, bool marked) {
    PrepareRequest request;
    request.set_job_id("job");
    request.set_epoch(1);
    request.set_index(index);
    request.set_folder_marked(marked);
    PrepareReply reply;
    MemoryxRole role(PosixDisk());
    return role.Prepare(request, plan, &reply).status();
  };
  for (const uint32_t index : {0u, 1u}) {
    const absl::Status refused = prepare(index, true);
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(refused.message()),
                HasSubstr("checkpoint.dir: " + job.checkpoint().dir() + " is another folder"));
    EXPECT_FALSE(fs::exists(job.checkpoint().dir())) << "nothing half done";
  }
  const auto claim =
      ClaimFolder(PosixDisk(), job.checkpoint().dir(), {.job_id = "job", .name = "job"});
  ASSERT_TRUE(claim.ok()) << claim.status();
  for (const uint32_t index : {0u, 1u}) EXPECT_EQ(prepare(index, true), absl::OkStatus());
}

TEST_F(Prepare, RefusesTheFolderOfAnotherJob) {
  const JobSpec job = SmallJob(FreshFolder());
  const auto other =
      ClaimFolder(PosixDisk(), job.checkpoint().dir(), {.job_id = "job-1-other", .name = "moss"});
  ASSERT_TRUE(other.ok()) << other.status();
  const absl::Status refused = Try(job, 0);
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("checkpoint.dir: " + job.checkpoint().dir() +
                        " is in use by job moss (job-1-other)"));
  (*other)->Release();
  EXPECT_TRUE(Try(job, 0).ok());
}

}  // namespace
}  // namespace waferstream
