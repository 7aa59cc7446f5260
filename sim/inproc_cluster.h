// A whole cluster in one process: the production roles, from Prepare to the last checkpoint, on
// virtual time. The same roles, cores and plan as in production; only the fabric, the clock and the
// controller are the simulation's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "plan/plan.h"
#include "sim/sim_controller.h"

namespace waferstream {

struct InprocOptions {
  ClusterShape shape;
  std::optional<uint64_t> seed = std::nullopt;  // of the order of events (sim/delays.h)
  uint64_t start_step = 0;                      // weights of this step are at job.checkpoint.from
  Disk* disk = nullptr;                         // of the checkpoints; null: the real one
};

struct InprocResult {
  JobOutcome outcome;
  size_t sram_planned_bytes = 0;      // of every wafer
  std::vector<size_t> swarmx_bytes;   // resident, by process
  std::vector<size_t> memoryx_bytes;  // resident, by process
  std::string trace_hash;             // of every event: equal runs have equal ones
};

// Runs the job to its end; checkpoints go to job.checkpoint.dir. Kernels run on
// job.cluster.wafer.kernel_threads threads, everything else on the caller's. An error: what
// Compile, a Prepare, a core or a seal said. INTERNAL: the cluster came to a standstill.
absl::StatusOr<InprocResult> RunInproc(const JobSpec& job, const InprocOptions& options);

}  // namespace waferstream
