#include "base/errno_status.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace waferstream {
namespace {

TEST(ErrnoStatus, SaysWhatTheSystemSays) {
  EXPECT_EQ(ErrnoStatus(ENOENT, "/a"), absl::NotFoundError("/a: No such file or directory"));
  EXPECT_EQ(ErrnoStatus(EACCES, "/a"), absl::PermissionDeniedError("/a: Permission denied"));
  EXPECT_EQ(ErrnoStatus(EEXIST, "/a"), absl::AlreadyExistsError("/a: File exists"));
  EXPECT_EQ(ErrnoStatus(ENOSPC, "/a").code(), absl::StatusCode::kResourceExhausted);
}

TEST(ErrnoStatus, AFailureWithoutAReasonIsStillOne) {
  EXPECT_EQ(ErrnoStatus(0, "/a"),
            absl::UnknownError("/a: failed, and the system does not say why"));
}

TEST(ErrnoStatus, IsNeverOk) {
  for (int error = -1; error < 5000; ++error) EXPECT_FALSE(ErrnoStatus(error, "a").ok()) << error;
}

}  // namespace
}  // namespace waferstream
