// What a job's status says in numbers, and whether it says it: the one place that tables, JSON and
// progress take them from. docs/CLI.md says what each is in each state.
#pragma once

#include <optional>

#include "proto/controller.pb.h"

namespace waferstream {

// nullopt: not known, which is something else than 0.
struct JobFacts {
  std::optional<double> loss;           // of the last step that this job has committed
  std::optional<double> val_loss;       // of its last validation
  std::optional<double> best_val_loss;  // of its best, after best_step
  // Measured over its steps, whatever controller they were under; none before the first.
  std::optional<double> step_seconds;
  std::optional<double> tokens_per_second;
  std::optional<double> exposed_stream_fraction;
  // Of work that is left; 0 once the job is over.
  std::optional<double> seconds_left;
};

JobFacts FactsOf(const JobStatus& job);

}  // namespace waferstream
