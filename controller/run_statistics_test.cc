#include "controller/run_statistics.h"

#include "gtest/gtest.h"

namespace waferstream {
namespace {

WaferStep Step(double seconds, double exposed) {
  WaferStep report;
  report.set_step_seconds(seconds);
  report.set_exposed_seconds(exposed);
  return report;
}

TEST(RecentMedian, IsTheMiddleOrTheMeanOfTheTwoMiddles) {
  RecentMedian median;
  EXPECT_EQ(median.Median(), 0);
  median.Add(5);
  EXPECT_EQ(median.Median(), 5);
  median.Add(1);
  EXPECT_EQ(median.Median(), 3);
  median.Add(100);
  EXPECT_EQ(median.Median(), 5);
}

TEST(RecentMedian, ForgetsWhatIsOld) {
  RecentMedian median;
  for (size_t i = 0; i < RecentMedian::kCapacity; ++i) median.Add(1);
  for (size_t i = 0; i < RecentMedian::kCapacity / 2; ++i) median.Add(9);
  EXPECT_EQ(median.Median(), 5);
  median.Add(9);
  EXPECT_EQ(median.Median(), 9);
}

TEST(RunStatistics, AStepLastsAsLongAsItsSlowestWafer) {
  RunStatistics statistics(100);
  JobStatus status;
  for (double seconds : {8.0, 2.0, 4.0}) {
    statistics.AddWafer(Step(seconds, 0));
    statistics.AddWafer(Step(seconds / 2, seconds / 8));
    statistics.EndStep();
  }
  statistics.Fill(10, status);
  EXPECT_EQ(status.step_seconds(), 4);
  EXPECT_EQ(status.tokens_per_second(), 25);
  EXPECT_EQ(status.seconds_left(), 40);
  EXPECT_EQ(status.exposed_stream_fraction(), 0.25);
}

TEST(RunStatistics, TheFirstStepIsNoMeasureOfExposure) {
  RunStatistics statistics(100);
  JobStatus status;
  statistics.AddWafer(Step(1, 1));
  statistics.EndStep();
  statistics.Fill(0, status);
  EXPECT_EQ(status.exposed_stream_fraction(), 1);  // there is no other
  statistics.AddWafer(Step(1, 0.125));
  statistics.EndStep();
  statistics.Fill(0, status);
  EXPECT_EQ(status.exposed_stream_fraction(), 0.125);
}

TEST(RunStatistics, KeepsTheLargestPeakAndTheLastTotals) {
  RunStatistics statistics(100);
  JobStatus status;
  WaferStep report = Step(1, 0);
  report.set_sram_peak_bytes(70);
  report.set_profile_seconds(0.5);
  statistics.AddWafer(report);
  report.set_sram_peak_bytes(60);
  statistics.AddWafer(report);
  statistics.EndStep();
  TrafficCounters totals;
  for (uint64_t bytes : {1, 5}) {
    totals.set_weight_bytes_out(bytes);
    statistics.AddTraffic("m0", MEMORYX, totals);
    statistics.AddTraffic("m1", MEMORYX, totals);
  }
  for (int twice = 0; twice < 2; ++twice) statistics.Fill(0, status);
  EXPECT_EQ(status.sram_peak_bytes(), 70u);
  EXPECT_EQ(status.profile_step_seconds(), 0.5);
  ASSERT_EQ(status.traffic_size(), 2);
  EXPECT_EQ(status.traffic(1).node_id(), "m1");
  EXPECT_EQ(status.traffic(1).counters().weight_bytes_out(), 5u);
}

}  // namespace
}  // namespace waferstream
