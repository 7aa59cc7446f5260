#include "tests/chaos/process_sockets.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/fd.h"
#include "base/status.h"
#include "fabric/test_network.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;

using NameOf = int (*)(int, sockaddr*, socklen_t*);

// The port at one end of an IPv4 or IPv6 connection; 0: it is none.
uint16_t Port(int fd, NameOf name_of) {
  sockaddr_in6 address = {};
  socklen_t size = sizeof address;
  if (name_of(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  // sin_port lies where sin6_port does.
  const bool internet = address.sin6_family == AF_INET || address.sin6_family == AF_INET6;
  return internet ? ntohs(address.sin6_port) : 0;
}

// A connection: it has two ends. Not a listening socket, not a unix socket.
bool IsToBeMuted(int fd, const std::set<uint16_t>& spared_ports) {
  const uint16_t here = Port(fd, getsockname);
  const uint16_t there = Port(fd, getpeername);
  return here != 0 && there != 0 && !spared_ports.contains(here) && !spared_ports.contains(there);
}

}  // namespace

absl::StatusOr<int> MuteConnections(pid_t pid, const std::set<uint16_t>& spared_ports) {
  const Fd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process.valid()) return ErrnoStatus(errno, absl::StrCat("process ", pid));
  int muted = 0;
  for (const auto& entry : fs::directory_iterator(absl::StrCat("/proc/", pid, "/fd"))) {
    std::error_code gone;  // closed since the folder was read
    if (!absl::StartsWith(fs::read_symlink(entry.path(), gone).string(), "socket:")) continue;
    int number = 0;
    WS_CHECK(absl::SimpleAtoi(entry.path().filename().string(), &number));
    const Fd socket(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), number, 0)));
    if (!socket.valid() && errno == EBADF) continue;
    if (!socket.valid()) return ErrnoStatus(errno, "pidfd_getfd");
    if (!IsToBeMuted(socket.get(), spared_ports)) continue;
    RETURN_IF_ERROR(MuteSocket(socket.get()));
    ++muted;
  }
  return muted;
}

}  // namespace waferstream
