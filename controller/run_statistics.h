// What a run tells about its speed and size, from the reports of its nodes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "controller/job_record.h"
#include "proto/controller.pb.h"
#include "proto/node.pb.h"

namespace waferstream {

// The median of the last kCapacity values. Not thread-safe.
class RecentMedian {
 public:
  // Older values are forgotten: a long run reports how fast it is now, in bounded memory.
  static constexpr size_t kCapacity = 1024;

  void Add(double value);
  double Median() const;  // 0 when there is none

 private:
  std::vector<double> values_;  // a ring once full
  size_t next_ = 0;
};

// One run. Not thread-safe.
class RunStatistics {
 public:
  explicit RunStatistics(double tokens_per_step) : tokens_per_step_(tokens_per_step) {}

  // A wafer's report of the step that is not yet committed, and what any node said of its traffic.
  void AddWafer(const WaferStep& report);
  void AddTraffic(const std::string& node_id, Role role, const TrafficCounters& totals);

  // All wafers have reported the step: what it took.
  StepTimes EndStep();

  // A step that was committed before, under another controller perhaps. In order of step, and
  // before any EndStep.
  void AddStep(const StepTimes& times);
  bool empty() const { return steps_ended_ == 0; }

  // Sets the fields of JobStatus that are measured. `steps_left` is for the time left.
  void Fill(uint64_t steps_left, JobStatus& status) const;

 private:
  double tokens_per_step_;
  StepTimes step_;            // so far: a step lasts as long as its slowest wafer
  double first_exposed_ = 0;  // exposed fraction of the first step
  RecentMedian step_seconds_;
  RecentMedian exposed_fraction_;  // without the run's first step, in which nothing is read ahead
  RecentMedian profile_seconds_;
  uint64_t steps_ended_ = 0;
  uint64_t sram_peak_bytes_ = 0;
  std::map<std::string, NodeTraffic> traffic_;  // by node_id
};

}  // namespace waferstream
