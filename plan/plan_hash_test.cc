#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/version.h"
#include "plan/plan.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

Plan MustCompile(const JobSpec& job) {
  auto plan = Compile(job, {.wafers = 3, .memoryx = 2, .swarmx = 2});
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

TEST(PlanHash, DoesNotDependOnWhetherTheJobWasSerializedBefore) {
  Plan plan = MustCompile(TestJob());
  const uint64_t hash = plan.Hash();
  EXPECT_FALSE(plan.job.SerializeAsString().empty());
  EXPECT_EQ(plan.Hash(), hash);
  plan.job.mutable_training()->set_seed(1);  // and back: a size that is out of date
  EXPECT_NE(plan.Hash(), hash);
  plan.job.mutable_training()->clear_seed();
  EXPECT_EQ(plan.Hash(), hash);
}

// A job goes on through a change of releases if every one derives the same plan. If this hash is
// another one now, raise Numerics() (base/version.cc), and write the number and the hash here.
TEST(PlanHash, IsWhatItWasWithTheseNumerics) {
  EXPECT_EQ(Numerics(), 2u) << "the hash below belongs to another number";
  EXPECT_EQ(MustCompile(TestJob()).Hash(), 0xc251b8523cb5a7d0u);
}

// One process has the job from a file, the other from the wire.
TEST(PlanHash, SurvivesTheWire) {
  JobSpec job = TestJob();
  job.mutable_generate()->add_prompt(5);
  job.mutable_generate()->set_tokens(2);
  JobSpec received;
  ASSERT_TRUE(received.ParseFromString(job.SerializeAsString()));
  EXPECT_EQ(MustCompile(received).Hash(), MustCompile(job).Hash());
}

// Of the job itself: the tables are the same ones.
TEST(PlanHash, CoversTheJobToItsLastField) {
  using Change = std::function<void(JobSpec&)>;
  const Change changes[] = {
      [](JobSpec& j) { j.set_name("other"); },
      [](JobSpec& j) { j.mutable_data()->add_train("x"); },
      [](JobSpec& j) { j.mutable_training()->set_seed(2); },
      [](JobSpec& j) { j.mutable_training()->mutable_optimizer()->mutable_adamw()->set_lr(2e-3); },
      [](JobSpec& j) { j.mutable_training()->add_amendments()->set_from_step(3); },
      [](JobSpec& j) { j.mutable_checkpoint()->add_accept("data"); },
      [](JobSpec& j) { j.mutable_generate()->add_prompt(1); },
      [](JobSpec& j) { j.mutable_generate()->add_prompt(2); },
      [](JobSpec& j) { j.mutable_cluster()->mutable_wafer()->set_sram_bytes(65 << 20); },
  };
  const Plan plan = MustCompile(TestJob());
  std::set<uint64_t> hashes = {plan.Hash()};
  for (const Change& change : changes) {
    Plan changed = plan;
    change(changed.job);
    EXPECT_TRUE(hashes.insert(changed.Hash()).second) << changed.job.ShortDebugString();
  }
}

TEST(PlanHash, CoversEveryNumberOfEveryTable) {
  using Change = std::function<void(Plan&)>;
  const Change changes[] = {
      [](Plan& p) { ++p.shape.wafers; },
      [](Plan& p) { ++p.shape.memoryx; },
      [](Plan& p) { ++p.shape.swarmx; },
      [](Plan& p) { p.shape.shards[0].owners.push_back(1); },
      [](Plan& p) { p.shape.shards[0].filling.push_back(1); },
      [](Plan& p) { p.wire = Dtype::kBf16; },
      [](Plan& p) { p.parameters[0].name += "x"; },
      [](Plan& p) { p.parameters[0].prefix += "x"; },
      [](Plan& p) { ++p.parameters[0].rows; },
      [](Plan& p) { ++p.parameters[0].cols; },
      [](Plan& p) { p.parameters[0].two_dimensional ^= true; },
      [](Plan& p) { p.parameters[0].decayed ^= true; },
      [](Plan& p) { p.parameters[0].trained ^= true; },
      [](Plan& p) { p.parameters[0].one_tile ^= true; },
      [](Plan& p) { p.parameters[0].transposed_in_checkpoint ^= true; },
      [](Plan& p) { p.parameters[0].init_std += 0.5; },
      [](Plan& p) { p.parameters[0].init_value += 0.5; },
      [](Plan& p) { ++p.parameters[0].cut_like; },
      [](Plan& p) { ++p.parameters[0].contributions; },
      [](Plan& p) { p.parameters.pop_back(); },
      [](Plan& p) { ++p.tiles[1].parameter; },
      [](Plan& p) { ++p.tiles[1].first_row; },
      [](Plan& p) { ++p.tiles[1].rows; },
      [](Plan& p) { ++p.tiles[1].shard; },
      [](Plan& p) { ++p.tiles[1].plane; },
      [](Plan& p) { p.tiles[1].slot = p.tiles[1].slot == kSmall ? kLarge : kSmall; },
      [](Plan& p) { ++p.leaves; },
      [](Plan& p) { ++p.resident_max; },
      [](Plan& p) { ++p.verify_slots; },
      [](Plan& p) { ++p.waves; },
      [](Plan& p) { ++p.validation_leaves; },
      [](Plan& p) { ++p.validation_waves; },
      [](Plan& p) { ++p.validation_sequences; },
      [](Plan& p) { ++p.tree_nodes[0].plane; },
      [](Plan& p) { ++p.tree_nodes[0].process; },
      [](Plan& p) { ++p.tree_nodes[0].up_channels[0]; },
      [](Plan& p) { ++p.tree_nodes[0].down_channels[0]; },
      [](Plan& p) { p.channels[0].kind = ChannelKind::kCopy; },
      [](Plan& p) { ++p.channels[0].plane; },
      [](Plan& p) { ++p.channels[0].shard; },
      [](Plan& p) { p.channels[0].up.role = WAFER; },
      [](Plan& p) { ++p.channels[0].up.process; },
      [](Plan& p) { ++p.channels[0].down.node; },
      [](Plan& p) { ++p.channels[0].tile_window.slots[kLarge]; },
      [](Plan& p) { ++p.channels[0].gradient_window.slots[kSmall]; },
      [](Plan& p) { ++p.tile_slot_bytes[kSmall]; },
      [](Plan& p) { ++p.tile_slot_bytes[kLarge]; },
      [](Plan& p) { ++p.gradient_slot_bytes[kSmall]; },
      [](Plan& p) { ++p.gradient_slot_bytes[kLarge]; },
      [](Plan& p) { p.graph.nodes[0].kind = OpKind::kGelu; },
      [](Plan& p) { ++p.graph.nodes[1].reads[0]; },
      [](Plan& p) { ++p.graph.nodes[0].writes[0]; },
      [](Plan& p) { ++p.graph.nodes[2].vectors[0]; },
      [](Plan& p) { ++p.graph.nodes[0].matrices[0]; },
      [](Plan& p) { p.graph.nodes[0].attributes.epsilon += 0.5; },
      [](Plan& p) { ++p.graph.nodes[0].attributes.norm_width; },
      [](Plan& p) { ++p.graph.nodes[0].attributes.head_dim; },
      [](Plan& p) { ++p.graph.nodes[0].attributes.window; },
      [](Plan& p) { p.graph.nodes[0].attributes.exact ^= true; },
      [](Plan& p) { ++p.graph.nodes[0].attributes.experts; },
      [](Plan& p) { ++p.graph.nodes[0].attributes.q.operand; },
      [](Plan& p) { ++p.graph.nodes[0].attributes.k.first; },
      [](Plan& p) { ++p.graph.nodes[0].attributes.k.stride; },
      [](Plan& p) { ++p.graph.nodes[0].attributes.v.heads; },
      [](Plan& p) { ++p.graph.nodes[0].attributes.rotary.dims; },
      [](Plan& p) { p.graph.nodes[0].attributes.rotary.interleaved ^= true; },
      [](Plan& p) { p.graph.nodes[0].attributes.rotary.theta += 0.5; },
      [](Plan& p) { p.graph.nodes[0].attributes.rotary.factor += 0.5; },
      [](Plan& p) { p.policy.recompute = RECOMPUTE_FULL; },
      [](Plan& p) { p.policy.holds_weights = false; },
      [](Plan& p) { ++p.program.values[0].width; },
      [](Plan& p) { p.program.values[0].per_token = false; },
      [](Plan& p) { p.program.values[0].dtype = Dtype::kBf16; },
      [](Plan& p) { ++p.program.values[0].storage; },
      [](Plan& p) { p.program.operations[0].kind = OpKind::kGelu; },
      [](Plan& p) { p.program.operations[0].backward = true; },
      [](Plan& p) { ++p.program.operations[0].node; },
      [](Plan& p) { p.program.operations[0].reads.push_back(0); },
      [](Plan& p) { ++p.program.operations[0].writes[0]; },
      [](Plan& p) { ++p.program.forward[0].operation; },
      [](Plan& p) { p.program.forward[0].accumulate ^= true; },
      [](Plan& p) { ++p.places.offsets[0]; },
      [](Plan& p) { ++p.places.bytes; },
      [](Plan& p) { ++p.program.forward[0].item; },
      [](Plan& p) { p.program.forward[0].needs.push_back(0); },
      [](Plan& p) { p.program.forward[0].releases.push_back(0); },
      [](Plan& p) { p.program.backward[0].gradients.push_back(0); },
      [](Plan& p) { p.program.generate.emplace_back(); },
      [](Plan& p) { ++p.program.forward_stream[0]; },
      [](Plan& p) { ++p.program.backward_stream[0]; },
      [](Plan& p) { ++p.program.gradient_stream[0].tile; },
      [](Plan& p) { ++p.program.gradient_stream[0].contribution; },
      [](Plan& p) { ++p.sram.regions[0].plane; },
      [](Plan& p) { p.sram.regions[0].name += "x"; },
      [](Plan& p) { ++p.sram.regions[0].offset; },
      [](Plan& p) { ++p.sram.regions[0].bytes; },
      [](Plan& p) { ++p.sram.regions[0].count; },
      [](Plan& p) { ++p.sram.bytes; },
  };
  const Plan plan = MustCompile(TestJob());
  std::set<uint64_t> hashes = {plan.Hash()};
  for (size_t i = 0; i < std::size(changes); ++i) {
    Plan changed = plan;
    changes[i](changed);
    EXPECT_TRUE(hashes.insert(changed.Hash()).second) << "change " << i;
  }
}

}  // namespace
}  // namespace waferstream
