// Where the time of a step goes: computing, waiting for a tile, or neither (waiting for room to
// send gradients). Given times, it keeps none itself. Not thread-safe.
#pragma once

#include <optional>

namespace waferstream {

struct StepTimes {
  double step_s = 0;
  double exposed_s = 0;  // nothing to compute, because a tile is not here
  double compute_s = 0;
};

class StepClock {
 public:
  // Begins a step and forgets what came before: at the start, and after a validation.
  void Restart(double now_s);

  // A tile is missing; the same call again changes nothing.
  void Wait(double now_s);
  // Since when it waited; nullopt: it did not.
  std::optional<double> EndWait(double now_s);

  void ComputeBegins(double now_s) { compute_since_s_ = now_s; }
  void ComputeEnds(double now_s) { times_.compute_s += now_s - compute_since_s_; }

  // Ends a step and begins the next.
  StepTimes Finish(double now_s);

 private:
  double begun_s_ = 0;
  double compute_since_s_ = 0;
  std::optional<double> waiting_since_s_;
  StepTimes times_;
};

}  // namespace waferstream
