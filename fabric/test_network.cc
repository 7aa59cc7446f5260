#include "fabric/test_network.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/status.h"

namespace waferstream {
namespace {

absl::Status Write(const char* path, const std::string& text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, path);
  const ssize_t written = write(fd, text.data(), text.size());
  const int error = errno;
  close(fd);
  if (written == static_cast<ssize_t>(text.size())) return absl::OkStatus();
  return ErrnoStatus(error, path);
}

absl::Status RaiseLoopback() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request = {};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  const int raised = fd < 0 ? -1 : ioctl(fd, SIOCSIFFLAGS, &request);
  const int error = errno;
  close(fd);
  return raised == 0 ? absl::OkStatus() : ErrnoStatus(error, "raising lo");
}

// As which user, inside.
absl::Status Enter(uid_t as_uid, gid_t as_gid) {
  const uid_t uid = getuid();
  const gid_t gid = getgid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
    return ErrnoStatus(errno, "a user and network namespace");
  }
  RETURN_IF_ERROR(Write("/proc/self/setgroups", "deny"));
  RETURN_IF_ERROR(Write("/proc/self/uid_map", absl::StrCat(as_uid, " ", uid, " 1")));
  RETURN_IF_ERROR(Write("/proc/self/gid_map", absl::StrCat(as_gid, " ", gid, " 1")));
  return RaiseLoopback();
}

}  // namespace

absl::Status EnterOwnNetwork() {
  // The same numbers inside as outside, so that files keep their owner.
  static const absl::Status entered = Enter(getuid(), getgid());
  return entered;
}

absl::Status EnterOwnNetworkAsRoot() {
  static const absl::Status entered = Enter(0, 0);
  return entered;
}

absl::Status MuteSocket(int fd) {
  sock_filter drop_all = BPF_STMT(BPF_RET | BPF_K, 0);
  const sock_fprog program = {.len = 1, .filter = &drop_all};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0) {
    return absl::OkStatus();
  }
  return ErrnoStatus(errno, "SO_ATTACH_FILTER");
}

}  // namespace waferstream
