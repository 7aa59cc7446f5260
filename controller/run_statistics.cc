#include "controller/run_statistics.h"

#include <algorithm>
#include <utility>

namespace waferstream {

void RecentMedian::Add(double value) {
  if (values_.size() < kCapacity) {
    values_.push_back(value);
    return;
  }
  values_[next_] = value;
  next_ = (next_ + 1) % kCapacity;
}

double RecentMedian::Median() const {
  if (values_.empty()) return 0;
  std::vector<double> sorted = values_;
  const auto middle = sorted.begin() + sorted.size() / 2;
  std::nth_element(sorted.begin(), middle, sorted.end());
  if (sorted.size() % 2 == 1) return *middle;
  return (*std::max_element(sorted.begin(), middle) + *middle) / 2;
}

void RunStatistics::AddWafer(const WaferStep& report) {
  step_.step_seconds = std::max(step_.step_seconds, report.step_seconds());
  step_.profile_seconds = std::max(step_.profile_seconds, report.profile_seconds());
  if (report.step_seconds() > 0) {
    step_.exposed_fraction =
        std::max(step_.exposed_fraction, report.exposed_seconds() / report.step_seconds());
  }
  sram_peak_bytes_ = std::max(sram_peak_bytes_, report.sram_peak_bytes());
}

void RunStatistics::AddTraffic(const std::string& node_id, Role role,
                               const TrafficCounters& totals) {
  NodeTraffic& traffic = traffic_[node_id];
  traffic.set_node_id(node_id);
  traffic.set_role(role);
  *traffic.mutable_counters() = totals;
}

StepTimes RunStatistics::EndStep() {
  const StepTimes times = std::exchange(step_, StepTimes());
  AddStep(times);
  return times;
}

void RunStatistics::AddStep(const StepTimes& times) {
  step_seconds_.Add(times.step_seconds);
  profile_seconds_.Add(times.profile_seconds);
  if (steps_ended_ == 0) {
    first_exposed_ = times.exposed_fraction;
  } else {
    exposed_fraction_.Add(times.exposed_fraction);
  }
  ++steps_ended_;
}

void RunStatistics::Fill(uint64_t steps_left, JobStatus& status) const {
  const double step_s = step_seconds_.Median();
  status.set_step_seconds(step_s);
  status.set_tokens_per_second(step_s > 0 ? tokens_per_step_ / step_s : 0);
  status.set_seconds_left(step_s * steps_left);
  // A run of one step has no other to speak for it.
  status.set_exposed_stream_fraction(steps_ended_ == 1 ? first_exposed_
                                                       : exposed_fraction_.Median());
  status.set_profile_step_seconds(profile_seconds_.Median());
  status.set_sram_peak_bytes(std::max(status.sram_peak_bytes(), sram_peak_bytes_));
  status.clear_traffic();
  for (const auto& [id, traffic] : traffic_) *status.add_traffic() = traffic;
}

}  // namespace waferstream
