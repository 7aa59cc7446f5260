// The job that the tests across roles run: everything a real one has, as small as it gets. Odd
// sizes throughout, tiles of a few rows, and micro-batches that no number of wafers divides.
#pragma once

#include <string>

#include "proto/job.pb.h"
#include "sim/inproc_cluster.h"

namespace waferstream {

// GPT-2 of 2 layers, 24 wide, 3 heads, 61 tokens, context 12, tied; `leaves` micro-batches of 2
// sequences; 3 steps of AdamW with a cosine schedule and clipping; a validation after the second
// and the last step. Writes its token files to the test's temporary folder.
JobSpec SmallJob(int leaves);

// Runs the job with a checkpoint folder of its own, which is removed again. An error fails the
// test.
InprocResult RunSmallJob(const JobSpec& job, const InprocOptions& options);

// The job with the least SRAM that the planner accepts for this shape: the most waves.
JobSpec WithLeastSram(JobSpec job, const ClusterShape& shape);

// A folder of this name below the test's temporary folder, empty.
std::string EmptyFolder(const std::string& name);

}  // namespace waferstream
