#include "wafer_node/step_clock.h"

#include <utility>

namespace waferstream {

void StepClock::Restart(double now_s) {
  begun_s_ = now_s;
  waiting_since_s_.reset();
  times_ = {};
}

void StepClock::Wait(double now_s) {
  if (!waiting_since_s_.has_value()) waiting_since_s_ = now_s;
}

std::optional<double> StepClock::EndWait(double now_s) {
  if (waiting_since_s_.has_value()) times_.exposed_s += now_s - *waiting_since_s_;
  return std::exchange(waiting_since_s_, std::nullopt);
}

StepTimes StepClock::Finish(double now_s) {
  EndWait(now_s);
  StepTimes times = times_;
  times.step_s = now_s - begun_s_;
  Restart(now_s);
  return times;
}

}  // namespace waferstream
