// A temporary folder that goes away even when its owner is killed.
#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "base/fd.h"

namespace waferstream {

// A small guard process waits until every holder of `guard_fd` is gone (this process and the
// cluster processes that inherit it), then removes the folder. So nothing is removed under a
// process that still writes, and nothing is left behind by SIGKILL. Make it before the process has
// a second thread: the guard is a fork without exec.
class ScratchFolder {
 public:
  // In $TMPDIR, or /tmp.
  static absl::StatusOr<ScratchFolder> Make(const std::string& purpose);
  ScratchFolder(ScratchFolder&& other) noexcept;
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  // Returns when the folder is gone; other holders must have ended.
  ~ScratchFolder();

  const std::string& path() const { return path_; }
  int guard_fd() const { return guard_fd_.get(); }

 private:
  ScratchFolder(std::string path, Fd guard_fd, pid_t guard)
      : path_(std::move(path)), guard_fd_(std::move(guard_fd)), guard_(guard) {}

  std::string path_;
  Fd guard_fd_;
  pid_t guard_;  // -1: moved from
};

}  // namespace waferstream
