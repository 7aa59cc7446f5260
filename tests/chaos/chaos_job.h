// The job of the chaos tests, and what it must give.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "proto/controller.pb.h"
#include "proto/job.pb.h"
#include "tests/chaos/chaos_cluster.h"

namespace waferstream {

// A GPT of two layers that learns a short text: some hundred steps in a second or two, with a
// checkpoint now and then, into `cluster`'s folder. `overrides` as of `waferctl run --set`.
JobSpec ChaosJob(const ChaosCluster& cluster, const std::vector<std::string>& overrides = {});

// What the job with these overrides ends with when nothing happens to it, whatever cluster it runs
// on; measured once in a process.
struct FaultFree {
  JobStatus job;            // DONE
  absl::Duration duration;  // from the first step to the end
};
const FaultFree& FaultFreeRun(const std::vector<std::string>& overrides = {});

// Fails the test unless the job is DONE with the losses, weights and optimizer state of that run,
// bit by bit.
void ExpectSameResult(const JobStatus& job, const std::vector<std::string>& overrides = {});

}  // namespace waferstream
