// One seed: plan, run, verdict.
#pragma once

#include <cstdint>
#include <map>
#include <ostream>
#include <string>

#include "sim/chaos_plan.h"

namespace waferstream {

struct ChaosResult {
  std::string violation;  // what must not be; empty: all is well
  std::string state;      // of the first job, in the end
  std::string reason;     // why it is not DONE
  std::string trace_hash;
  uint64_t events = 0;
  int64_t virtual_ns = 0;
  uint64_t steps = 0;  // of all jobs
  uint64_t redone_steps = 0;
  std::map<std::string, int64_t> faults;  // by kind; and, in brackets, what users did and saw
};

// Runs the plan's jobs to their ends and checks (chaos_run.cc has the list). `out`: lines of the
// trace, or null. Deterministic. Several may run at once, each in its own thread.
ChaosResult RunChaos(const ChaosPlan& plan, std::ostream* out);

}  // namespace waferstream
