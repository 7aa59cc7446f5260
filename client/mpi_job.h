// One job on the ranks of an MPI launch.
#pragma once

#include "absl/status/statusor.h"
#include "client/local_job.h"

namespace waferstream {

// On rank 0. Runs the controller there, which tells the other ranks what they are, and the job
// until it has ended; then all ranks end. A folder in which the job ran before goes on with it: one
// folder, one job. The status is in a final state, or PAUSED. A signal (of mpirun, when a rank has
// failed, or of the user) leaves the job as it is: ABORTED, saying how to go on. ABORTED also when
// the controller ends, or a rank does not answer for long. Must run on the main thread.
//
// Ranks on several hosts speak in the clear, and prove the cluster's secret: only if `insecure`
// says that nobody else is on the way.
absl::StatusOr<JobStatus> RunMpiJob(const JobSpec& job, const LocalJobOptions& options,
                                    bool insecure, Progress& progress);

// Whether a job has been run in this folder.
bool HasRunBefore(const std::string& dir);

}  // namespace waferstream
