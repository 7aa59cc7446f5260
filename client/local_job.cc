#include "client/local_job.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "base/status.h"
#include "client/cluster_folder.h"
#include "client/controller_client.h"
#include "client/follow_job.h"
#include "client/interrupt.h"
#include "client/local_cluster.h"
#include "client/traces.h"
#include "plan/plan.h"

namespace waferstream {
namespace {

// Whether there were any.
bool ReportCasualties(LocalCluster& cluster, Progress& progress) {
  const std::vector<std::string> lines = cluster.TakeCasualties();
  for (const std::string& line : lines) progress.Note(line);
  return !lines.empty();
}

// A process that dies is often why a job fails, and its peers see its sockets close, and report it,
// well before its parent can see that it is gone.
void AwaitCasualties(LocalCluster& cluster, Progress& progress) {
  const absl::Time deadline = absl::Now() + absl::Milliseconds(500);
  while (!ReportCasualties(cluster, progress) && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(10));
  }
}

absl::StatusOr<JobStatus> RunOn(LocalCluster& cluster, const JobSpec& job,
                                const LocalJobOptions& options, const InterruptCounter& interrupts,
                                Progress& progress) {
  ControllerClient client(cluster.controller_address(), cluster.credentials());
  SubmitRequest request;
  request.set_request_id(NewRequestId());
  *request.mutable_job() = job;
  FollowOptions follow;
  follow.on_interrupt = OnInterrupt::kCancelJob;
  follow.stop_when_paused = true;
  follow.on_status = options.on_status;
  follow.check = [&]() -> absl::Status {
    // What dies while the user waits for the end need not live again.
    if (interrupts.count() > 0) return absl::OkStatus();
    return cluster.Heal([&](const std::string& line) { progress.Note(line); });
  };
  ASSIGN_OR_RETURN(const JobStatus submitted,
                   SubmitJob(client, request, interrupts, progress, follow));
  absl::StatusOr<JobStatus> status =
      FollowJob(client, submitted.job_id(), interrupts, progress, follow);
  if (status.ok() && status->state() == FAILED) AwaitCasualties(cluster, progress);
  return status;
}

}  // namespace

absl::StatusOr<JobStatus> RunLocalJob(const JobSpec& job, const LocalJobOptions& options,
                                      Progress& progress) {
  const InterruptCounter interrupts;
  LocalClusterOptions cluster_options;
  cluster_options.shape = RequestedShape(job);
  cluster_options.dir = options.dir;
  cluster_options.kernel_isa = options.kernel_isa;
  cluster_options.fabric = options.fabric;
  cluster_options.inherited_fd = options.inherited_fd;
  cluster_options.traces = !options.trace.empty();
  ASSIGN_OR_RETURN(LocalCluster cluster, LocalCluster::Start(cluster_options, interrupts));
  absl::StatusOr<JobStatus> status = RunOn(cluster, job, options, interrupts, progress);
  progress.Clear();
  if (interrupts.count() > 1) cluster.Kill();
  cluster.Stop();
  if (!options.trace.empty()) {
    const absl::Status joined = JoinTraces(TraceFolderIn(options.dir), options.trace);
    if (!joined.ok()) progress.Note(std::string(joined.message()));
  }
  return status;
}

}  // namespace waferstream
