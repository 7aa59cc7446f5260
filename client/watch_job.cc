#include "client/watch_job.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "client/follow_job.h"
#include "client/interrupt.h"
#include "client/job_view.h"
#include "client/progress.h"

namespace waferstream {

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
  RETURN_IF_ERROR(PrintResult(format, JobTable(job), JobJson(job)));
  return ExitCodeOf(job.state());
}

}  // namespace waferstream
