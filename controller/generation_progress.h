// How far a generation run is: the tokens so far.
//
// Every wafer may report every token; they must agree. Pure; not thread-safe.
#pragma once

#include "absl/status/status.h"
#include "controller/membership.h"
#include "controller/run_turn.h"
#include "plan/plan.h"

namespace waferstream {

class GenerationProgress {
 public:
  // `plan` and `status` outlive this; `status` is kept up to date.
  GenerationProgress(const Plan& plan, JobStatus& status) : plan_(plan), status_(status) {}

  // A status that is returned ends the job with that line.
  absl::Status OnReport(const PlacedProcess& from, const NodeReport& report, RunTurn& turn);

  // Index of the token that comes next.
  uint64_t step() const { return status_.generated_size(); }
  // All tokens are there, or the last one ends the text (GenerateSpec.stop).
  bool done() const;

 private:
  const Plan& plan_;
  JobStatus& status_;
};

}  // namespace waferstream
