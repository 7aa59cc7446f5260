#include "client/scratch_folder.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/status.h"
#include "base/user_input.h"

namespace waferstream {
namespace {

// The guard's life. It ignores what ends waferctl, and keeps none of waferctl's files open: who
// reads our stdout must see its end when waferctl ends.
[[noreturn]] void Guard(int read_fd, const std::string& folder) {
  setsid();
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::signal(signal, SIG_IGN);
  dup2(read_fd, 3);
  for (int fd : {0, 1, 2}) close(fd);
  close_range(4, ~0U, 0);
  char byte;
  while (read(3, &byte, 1) < 0 && errno == EINTR) {
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  _exit(0);
}

// Absolute, because processes with another current folder use it.
absl::StatusOr<std::string> TemporaryFolder() {
  const char* variable = std::getenv("TMPDIR");
  return AbsolutePath("TMPDIR", variable && *variable ? variable : "/tmp");
}

}  // namespace

absl::StatusOr<ScratchFolder> ScratchFolder::Make(const std::string& purpose) {
  ASSIGN_OR_RETURN(const std::string base, TemporaryFolder());
  std::string path = absl::StrCat(base, "/waferstream-", purpose, "-XXXXXX");
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe");
  const Fd read_end(pipe_fds[0]);
  Fd write_end(pipe_fds[1]);
  if (!mkdtemp(path.data())) {
    return absl::InvalidArgumentError(absl::StrCat("TMPDIR: ", base, ": ", std::strerror(errno)));
  }
  const pid_t guard = fork();
  if (guard == 0) Guard(read_end.get(), path);
  if (guard < 0) {
    const int error = errno;
    rmdir(path.c_str());
    return ErrnoStatus(error, "fork");
  }
  return ScratchFolder(std::move(path), std::move(write_end), guard);
}

ScratchFolder::ScratchFolder(ScratchFolder&& other) noexcept
    : path_(std::move(other.path_)),
      guard_fd_(std::move(other.guard_fd_)),
      guard_(std::exchange(other.guard_, -1)) {}

ScratchFolder::~ScratchFolder() {
  if (guard_ < 0) return;
  guard_fd_.Close();
  int status;
  while (waitpid(guard_, &status, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace waferstream
