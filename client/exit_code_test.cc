#include "client/exit_code.h"

#include "gtest/gtest.h"

namespace waferstream {
namespace {

struct StatusCase {
  absl::Status status;
  ExitCode expected;
};

TEST(ExitCodeTest, EveryStatusHasItsCode) {
  const StatusCase cases[] = {
      {absl::OkStatus(), ExitCode::kOk},
      {absl::InvalidArgumentError(""), ExitCode::kUsage},
      {absl::NotFoundError(""), ExitCode::kNotFound},
      {absl::UnavailableError(""), ExitCode::kUnreachable},
      {absl::DeadlineExceededError(""), ExitCode::kUnreachable},
      {absl::PermissionDeniedError(""), ExitCode::kDenied},
      {absl::UnauthenticatedError(""), ExitCode::kDenied},
      {absl::CancelledError(""), ExitCode::kCancelled},
      {absl::ResourceExhaustedError(""), ExitCode::kFailed},
      {absl::InternalError(""), ExitCode::kFailed},
  };
  for (const StatusCase& c : cases) EXPECT_EQ(ExitCodeOf(c.status), c.expected) << c.status;
}

TEST(ExitCodeTest, NumbersAreTheDocumentedOnes) {
  EXPECT_EQ(static_cast<int>(ExitCode::kOk), 0);
  EXPECT_EQ(static_cast<int>(ExitCode::kFailed), 1);
  EXPECT_EQ(static_cast<int>(ExitCode::kUsage), 2);
  EXPECT_EQ(static_cast<int>(ExitCode::kNotFound), 3);
  EXPECT_EQ(static_cast<int>(ExitCode::kUnreachable), 4);
  EXPECT_EQ(static_cast<int>(ExitCode::kDenied), 5);
  EXPECT_EQ(static_cast<int>(ExitCode::kCancelled), 6);
}

TEST(ExitCodeTest, JobStates) {
  EXPECT_EQ(ExitCodeOf(DONE), ExitCode::kOk);
  EXPECT_EQ(ExitCodeOf(FAILED), ExitCode::kFailed);
  EXPECT_EQ(ExitCodeOf(CANCELLED), ExitCode::kCancelled);
  for (JobState state : {QUEUED, PREPARING, RUNNING}) {
    EXPECT_EQ(ExitCodeOf(state), ExitCode::kOk);
  }
  EXPECT_EQ(ExitCodeOf(PAUSED), ExitCode::kFailed);
}

}  // namespace
}  // namespace waferstream
