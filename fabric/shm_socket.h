// What a Unix socket of this host can do beyond a TCP one: be found by a fabric port, say who is at
// its other end, and carry descriptors. Private to the shm adapter.
#pragma once

#include <sys/socket.h>

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/fd.h"
#include "fabric/tcp_stream.h"

namespace waferstream {

// Where the node with this fabric port listens to processes of its host: a name in no file system,
// of the network namespace that the port is of, and gone with its process.
boost::asio::local::stream_protocol::endpoint ShmEndpoint(uint16_t fabric_port);

// Whether whoever is reached there may be on this host: an address of one of its interfaces.
bool IsOfThisHost(const boost::asio::ip::address& address);

// PERMISSION_DENIED: the process at the other end is another user's.
absl::Status CheckSameUser(TcpStream::Socket& socket);

// Bytes as they come, with the descriptors among them, read ahead. Not thread-safe; the socket
// outlives it.
class ShmReader {
 public:
  explicit ShmReader(TcpStream::Socket& socket) : socket_(socket) {}

  // Fills `into`. `heard` is set when a byte came. ABORTED: closed by the peer.
  boost::asio::awaitable<absl::Status> Read(std::span<std::byte> into, bool& heard);
  // The next descriptor that came with what was read. INVALID_ARGUMENT: there is none.
  absl::StatusOr<Fd> TakeFd();

 private:
  // Reads at least a byte into `into`.
  boost::asio::awaitable<absl::StatusOr<size_t>> Receive(std::span<std::byte> into);
  // Without waiting; 0: nothing is there.
  absl::StatusOr<size_t> ReceiveNow(std::span<std::byte> into);
  absl::Status KeepFds(msghdr& message);

  TcpStream::Socket& socket_;
  std::array<std::byte, 4096> ahead_;  // some 50 frames
  size_t begin_ = 0, end_ = 0;         // of what is there
  std::deque<Fd> fds_;
};

// Writes all bytes, those of `head` first; `fds` go with the first byte, and stay the caller's.
boost::asio::awaitable<absl::Status> ShmWrite(TcpStream::Socket& socket,
                                              std::span<const std::byte> head,
                                              std::span<const std::byte> tail,
                                              const std::vector<int>& fds);

// Descriptors in one ShmWrite, at most.
inline constexpr size_t kShmFdsMax = 16;

}  // namespace waferstream
