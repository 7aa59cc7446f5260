// By hand: small trees, in which every channel can be counted.
#include "plan/links.h"

#include <gtest/gtest.h>

#include "plan/test_job.h"

namespace waferstream {
namespace {

Plan MustCompile(const JobSpec& job, const ClusterShape& shape) {
  auto plan = Compile(job, shape);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

uint64_t TileBytes(const Plan& plan, const std::vector<int>& stream) {
  uint64_t bytes = 0;
  for (const int tile : stream) bytes += plan.TileBytes(tile);
  return bytes;
}
uint64_t Forward(const Plan& plan) { return TileBytes(plan, plan.program.forward_stream); }
uint64_t Backward(const Plan& plan) { return TileBytes(plan, plan.program.backward_stream); }

// One block of every gradient.
uint64_t Gradients(const Plan& plan) {
  uint64_t bytes = 0;
  for (const GradientItem& item : plan.program.gradient_stream) {
    bytes += plan.GradientBytes(item.tile);
  }
  return bytes;
}

void Expect(const PassBytes& pass, uint64_t sent, uint64_t received, uint64_t inside) {
  EXPECT_EQ(pass.sent, sent);
  EXPECT_EQ(pass.received, received);
  EXPECT_EQ(pass.inside, inside);
}

TEST(LinksTest, OneOfEachRole) {
  const Plan plan = MustCompile(TestJob(), {.wafers = 1, .memoryx = 1, .swarmx = 1});
  const uint64_t f = Forward(plan), b = Backward(plan), g = Gradients(plan);
  const std::vector<LinkTraffic> links = LinksOf(plan);
  ASSERT_EQ(links.size(), 3u);
  EXPECT_EQ(links[0].role, MEMORYX);
  Expect(links[0].forward, f, 0, 0);
  Expect(links[0].backward, b, g, 0);
  EXPECT_EQ(links[1].role, SWARMX);
  Expect(links[1].forward, f, f, 0);
  Expect(links[1].backward, b + g, b + g, 0);
  EXPECT_EQ(links[2].role, WAFER);
  Expect(links[2].forward, 0, f, 0);
  Expect(links[2].backward, g, b, 0);
  EXPECT_EQ(links[2].received(), f + b);
  EXPECT_EQ(LinkBoundOf(links).bytes(), f + b + g);
}

// Two levels of fan-out 2: the root's two children are a node of its own process and another's.
TEST(LinksTest, WhatStaysInsideAProcessIsOnNoLink) {
  JobSpec job = TestJob();
  job.mutable_cluster()->set_fanout(2);
  const Plan plan = MustCompile(job, {.wafers = 4, .memoryx = 1, .swarmx = 2});
  const uint64_t f = Forward(plan), b = Backward(plan), g = Gradients(plan);
  const std::vector<LinkTraffic> links = LinksOf(plan);
  Expect(links[1].forward, 3 * f, f, f);  // a leaf node and the root
  Expect(links[1].backward, 3 * b + g, b + 3 * g, b + g);
  EXPECT_EQ(links[1].inside(), f + b + g);
  Expect(links[2].forward, 2 * f, f, 0);
  Expect(links[2].backward, 2 * b + g, b + 2 * g, 0);
}

// In bf16 the weights are the smaller part: forward the root sends most, backward it receives most.
TEST(LinksTest, EachPassHasABoundOfItsOwn) {
  JobSpec job = TestJob();
  job.mutable_cluster()->set_fanout(2);
  job.mutable_training()->set_precision(BF16);
  const Plan plan = MustCompile(job, {.wafers = 4, .memoryx = 1, .swarmx = 2});
  const LinkBound bound = LinkBoundOf(LinksOf(plan));
  EXPECT_EQ(bound.forward, 3 * Forward(plan));
  EXPECT_EQ(bound.backward, Backward(plan) + 3 * Gradients(plan));
}

TEST(LinksTest, EveryWaveIsStreamed) {
  JobSpec job = TestJob();
  const ClusterShape shape = {.wafers = 1, .memoryx = 1, .swarmx = 1};
  job.mutable_training()->set_recompute(RECOMPUTE_NONE);
  job.mutable_cluster()->mutable_wafer()->set_sram_bytes(SramNeeded(MustCompile(job, shape)) - 1);
  const Plan plan = MustCompile(job, shape);
  ASSERT_GT(plan.waves, 1);
  const std::vector<LinkTraffic> links = LinksOf(plan);
  EXPECT_EQ(links[2].forward.received, plan.waves * Forward(plan));
  EXPECT_EQ(links[2].backward.received, plan.waves * Backward(plan));
  EXPECT_GE(links[2].backward.sent, plan.waves * Gradients(plan));
}

// Two planes: what one root carried alone is on two links.
TEST(LinksTest, PlanesShareTheBytes) {
  JobSpec job = TestJob();
  const auto received = [&](int planes) {
    job.mutable_cluster()->set_planes(planes);
    const std::vector<LinkTraffic> links =
        LinksOf(MustCompile(job, {.wafers = 1, .memoryx = 1, .swarmx = 2}));
    return std::pair(links[1].received(), links[2].received());
  };
  const auto [alone, nothing] = received(1);
  const auto [one, other] = received(2);
  EXPECT_EQ(nothing, 0u);
  EXPECT_EQ(one + other, alone);
  EXPECT_GT(std::min(one, other), alone / 3);
}

// A tile leaves its primary alone, and its gradient arrives at every owner.
TEST(LinksTest, ReplicasReceiveButDoNotSend) {
  JobSpec job = TestJob();
  job.mutable_cluster()->set_memoryx(2);
  job.mutable_cluster()->set_replicas(2);
  const Plan plan = MustCompile(job, {.wafers = 1, .memoryx = 2, .swarmx = 1});
  const std::vector<LinkTraffic> links = LinksOf(plan);
  EXPECT_EQ(links[0].sent() + links[1].sent(), Forward(plan) + Backward(plan));
  EXPECT_EQ(links[0].received(), Gradients(plan));
  EXPECT_EQ(links[1].received(), Gradients(plan));
}

TEST(LinksTest, AGenerationSendsWeightsForwardAndNothingBack) {
  JobSpec job = TestJob();
  job.mutable_generate()->add_prompt(1);
  job.mutable_generate()->set_tokens(1);
  const Plan plan = MustCompile(job, {.wafers = 1, .memoryx = 1, .swarmx = 1});
  const std::vector<LinkTraffic> links = LinksOf(plan);
  Expect(links[0].forward, Forward(plan), 0, 0);
  Expect(links[0].backward, 0, 0, 0);
  Expect(links[2].forward, 0, Forward(plan), 0);
  EXPECT_EQ(LinkBoundOf(links).bytes(), Forward(plan));
}

}  // namespace
}  // namespace waferstream
