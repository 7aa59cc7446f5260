#include "client/run_forward_job.h"

#include <utility>

#include "base/status.h"
#include "client/controller_client.h"
#include "client/follow_job.h"
#include "client/interrupt.h"
#include "client/local_job.h"
#include "client/scratch_folder.h"

namespace waferstream {
namespace {

using OnStatus = std::function<void(const JobStatus&)>;

absl::StatusOr<JobStatus> RunOn(const ControllerFlags& controller, const JobSpec& job,
                                OnStatus on_status, Progress& progress) {
  ASSIGN_OR_RETURN(const ControllerAccess access, ResolveController(controller));
  ControllerClient client(access.address, access.credentials);
  SubmitRequest request;
  request.set_request_id(NewRequestId());
  *request.mutable_job() = job;
  const InterruptCounter interrupts;
  FollowOptions follow;
  follow.on_interrupt = OnInterrupt::kCancelJob;
  follow.on_status = std::move(on_status);
  ASSIGN_OR_RETURN(const JobStatus submitted,
                   SubmitJob(client, request, interrupts, progress, follow));
  return FollowJob(client, submitted.job_id(), interrupts, progress, follow);
}

absl::StatusOr<JobStatus> RunHere(const JobSpec& job, OnStatus on_status, Progress& progress) {
  ASSIGN_OR_RETURN(const ScratchFolder folder, ScratchFolder::Make(job.name()));
  LocalJobOptions options;
  options.dir = folder.path();
  options.inherited_fd = folder.guard_fd();
  options.on_status = std::move(on_status);
  return RunLocalJob(job, options, progress);
}

}  // namespace

absl::StatusOr<JobStatus> RunForwardJob(const JobSpec& job, const ControllerFlags& controller,
                                        OnStatus on_status, Progress& progress) {
  if (controller.address.empty()) return RunHere(job, std::move(on_status), progress);
  return RunOn(controller, job, std::move(on_status), progress);
}

}  // namespace waferstream
