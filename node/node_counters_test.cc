#include "node/node_counters.h"

#include <gtest/gtest.h>

namespace waferstream {
namespace {

NodeReport WaferReport(double compute_s, double wait_s, uint64_t peak) {
  NodeReport report;
  WaferStep& step = *report.mutable_wafer_step();
  step.set_compute_seconds(compute_s);
  step.set_exposed_seconds(wait_s);
  step.set_sram_peak_bytes(peak);
  return report;
}

NodeReport MemoryxReport(double busy_s, uint64_t adds) {
  NodeReport report;
  TrafficCounters& traffic = *report.mutable_gradients_ready()->mutable_traffic();
  traffic.set_busy_seconds(busy_s);
  traffic.set_gradient_adds(adds);
  return report;
}

TEST(NodeCountersTest, StepsAddUp) {
  NodeCounters counters;
  PrepareReply reply;
  reply.set_sram_planned_bytes(100);
  reply.set_resident_bytes(120);
  counters.OnPrepared(reply);
  counters.OnReport(WaferReport(1, 0.25, 90));
  counters.OnReport(WaferReport(2, 0.5, 80));
  const NodeFacts facts = counters.Facts({});
  EXPECT_EQ(facts.steps, 2u);
  EXPECT_EQ(facts.compute_seconds, 3);
  EXPECT_EQ(facts.tile_wait_seconds, 0.75);
  EXPECT_EQ(facts.sram_peak_bytes, 90u);
  EXPECT_EQ(facts.sram_planned_bytes, 100u);
  EXPECT_EQ(facts.resident_bytes, 120u);
}

// Their reports and channels begin at 0 again; what is shown does not.
TEST(NodeCountersTest, EpochsAddUp) {
  NodeCounters counters;
  counters.OnPrepared({});
  counters.OnReport(MemoryxReport(1, 10));
  counters.OnReport(MemoryxReport(2, 20));
  EXPECT_EQ(counters.Facts({}).busy_seconds, 2);
  FabricTraffic released;
  released.tiles_in = {1, 10};
  released.tiles_out = {2, 20};
  counters.OnReleased(released);
  counters.OnPrepared({});
  counters.OnReport(MemoryxReport(0.5, 5));
  FabricTraffic present;
  present.tiles_in = {1, 10};
  present.gradients_out = {3, 30};
  const NodeFacts facts = counters.Facts(present);
  EXPECT_EQ(facts.epochs_prepared, 2u);
  EXPECT_EQ(facts.steps, 3u);
  EXPECT_EQ(facts.busy_seconds, 2.5);
  EXPECT_EQ(facts.gradient_adds, 25u);
  EXPECT_EQ(facts.traffic.tiles_in.frames, 2u);
  EXPECT_EQ(facts.traffic.tiles_in.bytes, 20u);
  EXPECT_EQ(facts.traffic.tiles_out.bytes, 20u);
  EXPECT_EQ(facts.traffic.gradients_out.frames, 3u);
}

TEST(NodeCountersTest, WhatIsReleasedIsNotHeld) {
  NodeCounters counters;
  PrepareReply reply;
  reply.set_sram_planned_bytes(100);
  reply.set_resident_bytes(120);
  counters.OnPrepared(reply);
  counters.OnReport(WaferReport(1, 0, 90));
  counters.OnReleased({});
  const NodeFacts facts = counters.Facts({});
  EXPECT_EQ(facts.resident_bytes + facts.sram_planned_bytes + facts.sram_peak_bytes, 0u);
  EXPECT_EQ(facts.compute_seconds, 1);
}

}  // namespace
}  // namespace waferstream
