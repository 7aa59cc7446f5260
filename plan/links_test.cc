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

// Bytes of both streams, and of one block of every gradient.
uint64_t Weights(const Plan& plan) {
  uint64_t bytes = 0;
  for (const int tile : plan.program.forward_stream) bytes += plan.TileBytes(tile);
  for (const int tile : plan.program.backward_stream) bytes += plan.TileBytes(tile);
  return bytes;
}
uint64_t Gradients(const Plan& plan) {
  uint64_t bytes = 0;
  for (const GradientItem& item : plan.program.gradient_stream) {
    bytes += plan.GradientBytes(item.tile);
  }
  return bytes;
}

void Expect(const LinkTraffic& link, Role role, uint64_t sent, uint64_t received, uint64_t inside) {
  EXPECT_EQ(link.role, role);
  EXPECT_EQ(link.sent, sent);
  EXPECT_EQ(link.received, received);
  EXPECT_EQ(link.inside, inside);
}

TEST(LinksTest, OneOfEachRole) {
  const Plan plan = MustCompile(TestJob(), {.wafers = 1, .memoryx = 1, .swarmx = 1});
  const uint64_t w = Weights(plan), g = Gradients(plan);
  const std::vector<LinkTraffic> links = LinksOf(plan);
  ASSERT_EQ(links.size(), 3u);
  Expect(links[0], MEMORYX, w, g, 0);
  Expect(links[1], SWARMX, w + g, w + g, 0);
  Expect(links[2], WAFER, g, w, 0);
  EXPECT_EQ(BusiestLink(links).role, SWARMX);
  EXPECT_EQ(BusierDirection(links[2]), std::max(w, g));
}

// Two levels of fan-out 2: the root's two children are a node of its own process and another's.
TEST(LinksTest, WhatStaysInsideAProcessIsOnNoLink) {
  JobSpec job = TestJob();
  job.mutable_cluster()->set_fanout(2);
  const Plan plan = MustCompile(job, {.wafers = 4, .memoryx = 1, .swarmx = 2});
  const uint64_t w = Weights(plan), g = Gradients(plan);
  const std::vector<LinkTraffic> links = LinksOf(plan);
  Expect(links[1], SWARMX, 3 * w + g, w + 3 * g, w + g);  // a leaf node and the root
  Expect(links[2], SWARMX, 2 * w + g, w + 2 * g, 0);
  Expect(links[3], WAFER, g, w, 0);
}

// Two planes: what one root carried alone is on two links.
TEST(LinksTest, PlanesShareTheBytes) {
  JobSpec job = TestJob();
  const auto received = [&](int planes) {
    job.mutable_cluster()->set_planes(planes);
    const std::vector<LinkTraffic> links =
        LinksOf(MustCompile(job, {.wafers = 1, .memoryx = 1, .swarmx = 2}));
    return std::pair(links[1].received, links[2].received);
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
  const uint64_t w = Weights(plan), g = Gradients(plan);
  const std::vector<LinkTraffic> links = LinksOf(plan);
  EXPECT_EQ(links[0].sent + links[1].sent, w);
  EXPECT_EQ(links[0].received, g);
  EXPECT_EQ(links[1].received, g);
}

TEST(LinksTest, AGenerationSendsWeightsForwardAndNothingBack) {
  JobSpec job = TestJob();
  job.mutable_generate()->add_prompt(1);
  job.mutable_generate()->set_tokens(1);
  const std::vector<LinkTraffic> links =
      LinksOf(MustCompile(job, {.wafers = 1, .memoryx = 1, .swarmx = 1}));
  EXPECT_EQ(links[0].received, 0u);
  EXPECT_EQ(links[0].sent, links[2].received);
  EXPECT_GT(links[0].sent, 0u);
}

}  // namespace
}  // namespace waferstream
