#include "client/watch_job.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "client/follow_job.h"
#include "client/interrupt.h"
#include "client/job_view.h"
#include "client/progress.h"

namespace waferstream {

Outcome PrintJobResult(const JobStatus& job, Format format, const Json& json) {
  RETURN_IF_ERROR(PrintResult(format, JobTable(job), json));
  if (job.state() == FAILED) {
    return absl::AbortedError(absl::StrCat(job.job_id(), ": failed: ", job.reason()));
  }
  return ExitCodeOf(job.state());
}

Outcome WatchJob(ControllerClient& client, const std::string& job_id, Format format,
                 ExitCode detached) {
  Progress progress(stderr, Progress::StyleOfStderr(false));
  const InterruptCounter interrupts;
  ASSIGN_OR_RETURN(const JobStatus job, FollowJob(client, job_id, interrupts, progress, {}));
  if (!IsFinal(job.state())) {
    progress.Note(absl::StrCat("detached; ", job_id, " goes on"));
    return detached;
  }
  progress.Clear();
  return PrintJobResult(job, format, JobJson(job));
}

}  // namespace waferstream
