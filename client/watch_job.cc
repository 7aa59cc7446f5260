#include "client/watch_job.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "client/follow_job.h"
#include "client/interrupt.h"
#include "client/job_view.h"
#include "client/progress.h"
#include "proto/job_state.h"

namespace waferstream {

namespace {

Outcome Follow(ControllerClient& client, const std::string& job_id,
               const InterruptCounter& interrupts, Progress& progress,
               const WatchOptions& options) {
  FollowOptions follow;
  follow.patience = options.patience;
  follow.stop_when_paused = options.stop_when_paused;
  ASSIGN_OR_RETURN(const JobStatus job, FollowJob(client, job_id, interrupts, progress, follow));
  const bool stopped = IsFinal(job.state()) || (job.state() == PAUSED && options.stop_when_paused);
  if (!stopped) {
    progress.Note(absl::StrCat("detached; ", job_id, " goes on"));
    return options.detached;
  }
  progress.Clear();
  return PrintJobResult(job, options.format, JobJson(job),
                        absl::StrCat("`waferctl resume ", job_id, " [--lr X] [--skip-batch]` goes ",
                                     "on with it, `waferctl cancel ", job_id, "` gives it up"));
}

}  // namespace

Outcome PrintJobResult(const JobStatus& job, Format format, const Json& json,
                       const std::string& when_paused) {
  RETURN_IF_ERROR(PrintResult(format, JobTable(job), json));
  if (job.state() == FAILED) {
    return absl::AbortedError(absl::StrCat(job.job_id(), ": failed: ", job.reason()));
  }
  if (job.state() == PAUSED) {
    return absl::AbortedError(
        absl::StrCat(job.job_id(), ": paused: ", job.reason(), "; ", when_paused));
  }
  return ExitCodeOf(job.state());
}

Outcome WatchJob(ControllerClient& client, const std::string& job_id, const WatchOptions& options) {
  Progress progress(stderr, Progress::StyleOfStderr(false));
  const InterruptCounter interrupts;
  return Follow(client, job_id, interrupts, progress, options);
}

Outcome SubmitAndWatch(ControllerClient& client, const SubmitRequest& request,
                       const WatchOptions& options) {
  Progress progress(stderr, Progress::StyleOfStderr(false));
  const InterruptCounter interrupts;
  FollowOptions submit;
  submit.patience = options.patience;
  ASSIGN_OR_RETURN(const JobStatus job, SubmitJob(client, request, interrupts, progress, submit));
  return Follow(client, job.job_id(), interrupts, progress, options);
}

}  // namespace waferstream
