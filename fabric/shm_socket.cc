#include "fabric/shm_socket.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/status.h"
#include "fabric/tcp_socket.h"

namespace waferstream {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

// A peer that sends more of them than it announces does not mean well.
constexpr size_t kFdsKeptMax = 64;

struct FdMessage {
  alignas(cmsghdr) char bytes[CMSG_SPACE(sizeof(int) * kShmFdsMax)];
};

asio::awaitable<absl::Status> Await(TcpStream::Socket& socket, asio::socket_base::wait_type what) {
  error_code error;
  co_await socket.async_wait(what, asio::redirect_error(asio::use_awaitable, error));
  co_return SocketError(error);
}

void AddFds(msghdr& message, FdMessage& control, const std::vector<int>& fds) {
  if (fds.empty()) return;
  WS_CHECK(fds.size() <= kShmFdsMax);
  message.msg_control = control.bytes;
  message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
  std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
}

// sendmsg without waiting. Not part of the coroutine, whose frame cannot hold what it needs.
ssize_t SendNow(int socket, iovec (&parts)[2], const std::vector<int>& fds) {
  FdMessage control;
  msghdr message = {};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  AddFds(message, control, fds);
  return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

// What is left of `parts` behind `bytes`.
void Skip(iovec (&parts)[2], size_t bytes) {
  for (iovec& part : parts) {
    const size_t gone = std::min(bytes, part.iov_len);
    part.iov_base = static_cast<std::byte*>(part.iov_base) + gone;
    part.iov_len -= gone;
    bytes -= gone;
  }
}

}  // namespace

asio::local::stream_protocol::endpoint ShmEndpoint(uint16_t fabric_port) {
  return {absl::StrCat(std::string(1, '\0'), "waferstream/fabric/", fabric_port)};
}

bool IsOfThisHost(const asio::ip::address& address) {
  if (address.is_loopback()) return true;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return false;
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> list(all, &freeifaddrs);
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    if (one->ifa_addr->sa_family == AF_INET && address.is_v4()) {
      const auto* found = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
      if (ntohl(found->sin_addr.s_addr) == address.to_v4().to_uint()) return true;
    } else if (one->ifa_addr->sa_family == AF_INET6 && address.is_v6()) {
      const auto* found = reinterpret_cast<const sockaddr_in6*>(one->ifa_addr);
      const auto bytes = address.to_v6().to_bytes();
      if (std::memcmp(&found->sin6_addr, bytes.data(), bytes.size()) == 0) return true;
    }
  }
  return false;
}

absl::Status CheckSameUser(TcpStream::Socket& socket) {
  ucred peer;
  socklen_t bytes = sizeof peer;
  if (getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0) {
    return ErrnoStatus(errno, "SO_PEERCRED");
  }
  if (peer.uid == geteuid()) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat("denied: process ", peer.pid, " is of user ",
                                                  peer.uid, ", this one of user ", geteuid()));
}

// -- in ------------------------------------------------------------------------------------------

asio::awaitable<absl::Status> ShmReader::Read(std::span<std::byte> into, bool& heard) {
  while (!into.empty()) {
    if (begin_ == end_ && into.size() < ahead_.size()) {
      const absl::StatusOr<size_t> came = co_await Receive(ahead_);
      if (!came.ok()) co_return came.status();
      begin_ = 0;
      end_ = *came;
    }
    size_t taken = std::min(into.size(), end_ - begin_);
    if (taken > 0) {
      std::memcpy(into.data(), ahead_.data() + begin_, taken);
      begin_ += taken;
    } else {
      const absl::StatusOr<size_t> came = co_await Receive(into);
      if (!came.ok()) co_return came.status();
      taken = *came;
    }
    heard = true;
    into = into.subspan(taken);
  }
  co_return absl::OkStatus();
}

asio::awaitable<absl::StatusOr<size_t>> ShmReader::Receive(std::span<std::byte> into) {
  while (socket_.is_open()) {
    const absl::StatusOr<size_t> came = ReceiveNow(into);
    if (!came.ok() || *came > 0) co_return came;
    const absl::Status ready = co_await Await(socket_, asio::socket_base::wait_read);
    if (!ready.ok()) co_return ready;
  }
  co_return absl::CancelledError("closed");
}

absl::StatusOr<size_t> ShmReader::ReceiveNow(std::span<std::byte> into) {
  iovec part = {into.data(), into.size()};
  FdMessage control;
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control;
  const ssize_t came = recvmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (came < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  if (came == 0 || (came < 0 && errno == ECONNRESET)) {
    return absl::AbortedError("closed by the peer");
  }
  if (came < 0) return ErrnoStatus(errno, "recvmsg");
  RETURN_IF_ERROR(KeepFds(message));
  return static_cast<size_t>(came);
}

absl::Status ShmReader::KeepFds(msghdr& message) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      fds_.emplace_back(fd);
    }
  }
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    return absl::ResourceExhaustedError("a descriptor of the peer's could not be taken");
  }
  if (fds_.size() > kFdsKeptMax) return absl::InvalidArgumentError("descriptors without frames");
  return absl::OkStatus();
}

absl::StatusOr<Fd> ShmReader::TakeFd() {
  if (fds_.empty()) return absl::InvalidArgumentError("a segment without its descriptor");
  Fd fd = std::move(fds_.front());
  fds_.pop_front();
  return fd;
}

// -- out -----------------------------------------------------------------------------------------

asio::awaitable<absl::Status> ShmWrite(TcpStream::Socket& socket, std::span<const std::byte> head,
                                       std::span<const std::byte> tail,
                                       const std::vector<int>& fds) {
  iovec parts[2] = {{const_cast<std::byte*>(head.data()), head.size()},
                    {const_cast<std::byte*>(tail.data()), tail.size()}};
  bool fds_are_gone = false;
  while (parts[0].iov_len + parts[1].iov_len > 0) {
    if (!socket.is_open()) co_return absl::CancelledError("closed");
    const ssize_t gone =
        SendNow(socket.native_handle(), parts, fds_are_gone ? std::vector<int>() : fds);
    if (gone >= 0) {
      fds_are_gone = true;
      Skip(parts, static_cast<size_t>(gone));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EPIPE || errno == ECONNRESET) co_return absl::AbortedError("closed by the peer");
    if (errno != EAGAIN) co_return ErrnoStatus(errno, "sendmsg");
    const absl::Status ready = co_await Await(socket, asio::socket_base::wait_write);
    if (!ready.ok()) co_return ready;
  }
  co_return absl::OkStatus();
}

}  // namespace waferstream
