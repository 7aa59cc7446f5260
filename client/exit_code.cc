#include "client/exit_code.h"

namespace waferstream {

ExitCode ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kOk;
    case absl::StatusCode::kInvalidArgument:
      return ExitCode::kUsage;
    case absl::StatusCode::kNotFound:
      return ExitCode::kNotFound;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return ExitCode::kUnreachable;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return ExitCode::kDenied;
    case absl::StatusCode::kCancelled:
      return ExitCode::kCancelled;
    default:
      return ExitCode::kFailed;
  }
}

ExitCode ExitCodeOf(JobState state) {
  if (state == FAILED || state == PAUSED) return ExitCode::kFailed;
  if (state == CANCELLED) return ExitCode::kCancelled;
  return ExitCode::kOk;
}

}  // namespace waferstream
