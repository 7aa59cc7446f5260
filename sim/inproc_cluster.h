// A whole job on a cluster in one process, from its submission to its last checkpoint: production's
// controller, shells and roles on virtual time, where nothing goes wrong.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "plan/plan.h"
#include "proto/controller.pb.h"
#include "proto/job.pb.h"
#include "proto/node.pb.h"

namespace waferstream {

struct InprocOptions {
  ClusterShape shape;
  uint64_t seed = 0;     // of the order of events
  Disk* disk = nullptr;  // of the checkpoints; null: the real one
};

// What came of a job.
struct InprocResult {
  std::vector<double> losses;             // one a step done here
  std::vector<double> norms;              // of the unclipped gradient, one a step
  std::vector<double> validation_losses;  // one a validation
  std::string checkpoint;                 // path of the last one, and its hashes
  std::string weights_hash;
  std::string optimizer_hash;
  std::vector<uint32_t> generated;
  std::vector<float> logits;
  // Of verified micro-batches, by step and micro-batch: what each wafer that computed it reported.
  std::map<std::pair<uint64_t, uint32_t>, std::vector<uint64_t>> hashes;
  size_t sram_planned_bytes = 0;         // of every wafer
  std::vector<size_t> sram_peak_bytes;   // by wafer
  std::vector<TrafficCounters> memoryx;  // totals, by process
  std::vector<TrafficCounters> swarmx;
  std::vector<TrafficCounters> wafers;
  std::string trace_hash;  // of every event: equal runs have equal ones
  JobStatus status;        // the last
};

// Runs the job to its end on a cluster of this shape; checkpoints go to job.checkpoint.dir. Kernels
// run on job.cluster.wafer.kernel_threads threads, everything else on the caller's. An error: what
// Compile said, or why the job was refused or failed. INTERNAL: the cluster came to a standstill.
absl::StatusOr<InprocResult> RunInproc(JobSpec job, const InprocOptions& options);

}  // namespace waferstream
