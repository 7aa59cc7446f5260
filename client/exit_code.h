// What waferctl tells the shell that called it. Scripts depend on these numbers.
#pragma once

#include "absl/status/status.h"
#include "proto/controller.pb.h"

namespace waferstream {

enum class ExitCode {
  kOk = 0,
  kFailed = 1,       // the job failed, or cannot run on the cluster it asks for
  kUsage = 2,        // a flag, a job file or a file that it names is wrong
  kNotFound = 3,     // no such job, node or checkpoint
  kUnreachable = 4,  // no answer from the controller in time
  kDenied = 5,       // the controller, or the file system, refuses
  kCancelled = 6,    // the job was cancelled, here or elsewhere
};

ExitCode ExitCodeOf(const absl::Status& status);

// Of a job in a final state. PAUSED: kFailed, for who waits for a result. Of any other state: kOk,
// nothing has failed.
ExitCode ExitCodeOf(JobState state);

}  // namespace waferstream
