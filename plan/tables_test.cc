#include "plan/tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "plan/test_job.h"

namespace waferstream {
namespace {

using ::testing::HasSubstr;

Plan MustBuild(const JobSpec& job, const ClusterShape& shape = {}) {
  auto plan = BuildTables(job, shape);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

std::string Refusal(const JobSpec& job, const ClusterShape& shape = {}) {
  const absl::Status status = BuildTables(job, shape).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

// Counted by hand: 64 and 16 embeddings of 32; a layer has 4 + 9 vectors of 32 and matrices of 3,
// 1, 4 and 4 times 32 * 32; the final norm.
TEST(Tables, TheElementsAreTheModels) {
  const Plan plan = MustBuild(TestJob());
  EXPECT_EQ(plan.parameter_elements, (64 + 16) * 32 + 2 * (13 * 32 + 12 * 32 * 32) + 2 * 32);
  EXPECT_EQ(plan.leaves, 8);
  EXPECT_EQ(plan.validation_leaves, 0);
}

TEST(Tables, ASlotHoldsTheLargestTileOfItsClass) {
  JobSpec job = TestJob();
  Plan plan = MustBuild(job);
  EXPECT_EQ(plan.tile_slot_bytes[kSmall], 4 * 128u) << "the bias of c_fc";
  EXPECT_EQ(plan.tile_slot_bytes[kLarge], 4 * 1024u);
  job.mutable_training()->set_precision(BF16);
  plan = MustBuild(job);
  EXPECT_EQ(plan.wire, Dtype::kBf16);
  EXPECT_EQ(plan.tile_slot_bytes[kSmall], 2 * 128u);
  EXPECT_EQ(plan.tile_slot_bytes[kLarge], 2 * 1024u);
  EXPECT_EQ(plan.gradient_slot_bytes[kSmall], 4 * 128u) << "gradients stay fp32";
  EXPECT_EQ(plan.gradient_slot_bytes[kLarge], 4 * 1024u);
}

// wte in two tiles of 1024, wpe of 512, then vectors of 32: dealt by hand, each to the shard with
// the least, there to the plane with the least; the shards begin on different planes.
TEST(Tables, TilesGoWhereTheLeastIs) {
  JobSpec job = TestJob();
  job.mutable_cluster()->set_planes(2);
  const Plan plan = MustBuild(job, {.wafers = 1, .memoryx = 2, .swarmx = 1});
  const std::vector<std::pair<int, int>> shard_and_plane = {{0, 0}, {1, 1}, {0, 1}, {1, 0}, {1, 0}};
  for (size_t t = 0; t < shard_and_plane.size(); ++t) {
    EXPECT_EQ(std::make_pair(plan.tiles[t].shard, plan.tiles[t].plane), shard_and_plane[t]) << t;
  }
}

TEST(Tables, ATileNeverChangesItsShard) {
  JobSpec job = TestJob();
  const Plan three = MustBuild(job, {.wafers = 1, .memoryx = 3, .swarmx = 1});
  const Plan two = MustBuild(
      job, {.wafers = 4, .memoryx = 2, .swarmx = 2, .shards = {{{1}, {}}, {{1}, {0}}, {{0}, {}}}});
  for (size_t t = 0; t < three.tiles.size(); ++t) {
    EXPECT_EQ(three.tiles[t].shard, two.tiles[t].shard) << t;
  }
  EXPECT_EQ(two.shape.shards[1].filling, std::vector<int>{0});
}

TEST(Tables, ShardsThatNobodyDealtHaveTheJobsReplicas) {
  JobSpec job = TestJob();
  job.mutable_cluster()->set_memoryx(3);
  job.mutable_cluster()->set_replicas(2);
  const ClusterShape shape = {.wafers = 1, .memoryx = 3, .swarmx = 1};
  EXPECT_EQ(MustBuild(job, shape).shape.shards[2].owners, (std::vector<int>{2, 0}));
  job.mutable_generate()->add_prompt(1);
  job.mutable_generate()->set_tokens(1);
  EXPECT_EQ(MustBuild(job, shape).shape.shards[2].owners, std::vector<int>{2})
      << "nothing is lost with a generation";
}

TEST(Tables, ARoleWithoutAProcessIsNamed) {
  EXPECT_THAT(Refusal(TestJob(), {.wafers = 0}), HasSubstr("cluster.wafers: 0"));
  EXPECT_THAT(Refusal(TestJob(), {.memoryx = -1}), HasSubstr("cluster.memoryx: -1"));
  EXPECT_THAT(Refusal(TestJob(), {.swarmx = 0}), HasSubstr("cluster.swarmx: 0"));
}

TEST(Tables, HoldersAreDifferentProcessesThatExistAndOneOwns) {
  const ShardHolders good = {{0}, {1}};
  for (const ShardHolders& bad : std::vector<ShardHolders>{{{}, {}},
                                                           {{}, {1}},
                                                           {{0, 0}, {}},
                                                           {{0}, {0}},
                                                           {{1}, {0, 0}},
                                                           {{2}, {}},
                                                           {{0}, {2}},
                                                           {{-1}, {}},
                                                           {{1}, {-1}}}) {
    EXPECT_THAT(Refusal(TestJob(), {.memoryx = 2, .shards = {good, bad}}),
                HasSubstr("shards: shard 1 does not name different MemoryX processes of 2"));
  }
  MustBuild(TestJob(), {.memoryx = 2, .shards = {good, {{1, 0}, {}}}});
}

TEST(Tables, TheLeastIsNotMoreThanTheMost) {
  JobSpec job = TestJob();
  job.mutable_cluster()->set_wafers_min(2);
  EXPECT_EQ(Refusal(job), "cluster.wafers.min: 2 is more than cluster.wafers.max: 1");
  job.mutable_cluster()->set_wafers(2);
  MustBuild(job);
  job.mutable_cluster()->set_replicas(2);
  EXPECT_EQ(Refusal(job), "cluster.memoryx.replicas: 2 is more than cluster.memoryx.nodes: 1");
}

TEST(Tables, SizesArePermittedToTheLastOne) {
  JobSpec job = TestJob();
  job.mutable_training()->set_global_batch(kLeavesMax);
  EXPECT_EQ(MustBuild(job).leaves, int{kLeavesMax});
  job.mutable_training()->set_global_batch(kLeavesMax + 1);
  EXPECT_THAT(Refusal(job), HasSubstr("training.micro_batch: 1 makes 65537 micro-batches"));

  job = TestJob();
  job.mutable_cluster()->set_planes(256);  // of 2 + 2 * 2047 channels: 2^20 in all
  MustBuild(job, {.wafers = 2047, .memoryx = 2, .swarmx = 1});
  EXPECT_THAT(Refusal(job, {.wafers = 2047, .memoryx = 3, .swarmx = 1}),
              HasSubstr("cluster.planes: 256 planes of 2047 wafers and 3 MemoryX nodes"));
}

TEST(Tables, OnlyTwoWafersCanVerify) {
  JobSpec job = TestJob();
  job.mutable_training()->set_verify(0.1);
  EXPECT_EQ(MustBuild(job, {.wafers = 1}).verify_slots, 0);
  EXPECT_EQ(MustBuild(job, {.wafers = 2}).verify_slots, 1);
  job.mutable_training()->set_verify(0);
  EXPECT_EQ(MustBuild(job, {.wafers = 2}).verify_slots, 0);
}

TEST(Tables, AGenerationIsOneSequence) {
  JobSpec job = TestJob();
  job.mutable_training()->set_verify(1);
  job.mutable_training()->clear_tile_elements();
  job.mutable_training()->clear_optimizer();
  job.mutable_data()->set_validation("v");
  job.mutable_training()->set_validate_every(1);
  job.mutable_generate()->add_prompt(1);
  job.mutable_generate()->set_tokens(5);
  const Plan plan = MustBuild(job, {.wafers = 2, .memoryx = 1, .swarmx = 1});
  EXPECT_EQ(plan.leaves, 1);
  EXPECT_EQ(plan.job.training().steps(), 0u);
  EXPECT_EQ(plan.verify_slots, 0);
  EXPECT_EQ(plan.validation_leaves, 0);
  EXPECT_EQ(plan.parameters[0].tile_count, 1) << "tiles of a million";
}

class ValidationTables : public testing::Test {
 protected:
  ValidationTables() {
    job_.mutable_data()->set_validation("v.bin");
    job_.mutable_training()->set_validate_every(2);
  }
  void Content(uint64_t tokens, uint32_t asked) {
    job_.mutable_data()->mutable_validation_content()->set_tokens(tokens);
    job_.mutable_data()->set_validation_sequences(asked);
  }
  JobSpec job_ = TestJob();  // context 16
};

// A sequence of 16 has 16 targets, the last of which is the 17th token.
TEST_F(ValidationTables, AFileHasTheSequencesWhoseLastTargetIsInIt) {
  for (const auto& [tokens, sequences] :
       std::vector<std::pair<uint64_t, int>>{{1, 0}, {16, 0}, {17, 1}, {32, 1}, {33, 2}}) {
    Content(tokens, 0);
    EXPECT_EQ(MustBuild(job_).validation_sequences, sequences) << tokens;
  }
}

TEST_F(ValidationTables, AsManyAsAreAskedForIfTheFileHasThem) {
  Content(33, 1);
  EXPECT_EQ(MustBuild(job_).validation_sequences, 1);
  Content(33, 2);
  EXPECT_EQ(MustBuild(job_).validation_sequences, 2);
  Content(33, 3);
  EXPECT_EQ(Refusal(job_), "data.validation_sequences: 3, but v.bin has 2 sequences of context 16");
}

TEST_F(ValidationTables, BeforeAnyoneHasLookedAGlobalBatchStandsForAll) {
  EXPECT_EQ(MustBuild(job_).validation_sequences, 8);
  Content(0, 3);
  EXPECT_EQ(MustBuild(job_).validation_sequences, 3);
}

TEST_F(ValidationTables, TheLastMicroBatchMayBeShort) {
  Content(0, 5);
  job_.mutable_training()->set_micro_batch(4);
  EXPECT_EQ(MustBuild(job_).validation_leaves, 2);
  Content(0, 4);
  EXPECT_EQ(MustBuild(job_).validation_leaves, 1);
}

TEST_F(ValidationTables, WhoDoesNotValidateHasNone) {
  Content(33, 0);
  job_.mutable_training()->set_validate_every(0);
  EXPECT_EQ(MustBuild(job_).validation_leaves, 0);
  job_.mutable_training()->set_validate_every(2);
  job_.mutable_data()->clear_validation();
  EXPECT_EQ(MustBuild(job_).validation_leaves, 0);
}

TEST_F(ValidationTables, AValidationIsPermittedToItsLastMicroBatch) {
  Content(0, kValidationLeavesMax);
  EXPECT_EQ(MustBuild(job_).validation_leaves, kValidationLeavesMax);
  Content(0, kValidationLeavesMax + 1);
  EXPECT_THAT(Refusal(job_), HasSubstr("data.validation_sequences: 262145 sequences"));
}

}  // namespace
}  // namespace waferstream
