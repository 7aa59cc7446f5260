// A channel's receiving end: the Hello, then frames, from a peer that sends anything. Mutation does
// not find checksums, so a frame is written down as
//   1 byte   bit 0: make the checksum right; bit 1: make the sequence right
//   2 bytes  payload bytes (little-endian), then the 64 bytes of the header, then the payload
// and the whole arrives through a socket in one piece.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "fabric/tcp_channel.h"
#include "fabric/tcp_hello.h"
#include "fabric/tcp_liveness.h"

namespace waferstream {
namespace {

namespace asio = boost::asio;

const ChannelTerms kTerms = {.epoch = 1, .peer_window = {{4, 0}}};
constexpr size_t kSlotBytes = 4096;

// Takes frames that fit a slot, and answers each with a frame of its own while it has credit.
class Peerless final : public ChannelHandler {
 public:
  explicit Peerless(ChannelEnd& channel) : channel_(channel) {}
  ~Peerless() override { WS_CHECK(closed_); }

  absl::StatusOr<std::span<std::byte>> BufferFor(const FrameHeader& header) override {
    if (header.length > slot_.size()) return absl::InvalidArgumentError("larger than a slot");
    return std::span(slot_).first(header.length);
  }
  absl::Status OnFrame(const FrameHeader& header, const std::byte*) override {
    WS_CHECK(header.epoch == kTerms.epoch);
    channel_.Grant({.slots = {1, 0}});
    return absl::OkStatus();
  }
  void OnCredit(const Credit& credit) override {
    for (const int slots : credit.slots) {
      WS_CHECK(slots >= 0 && slots <= 2 * kTerms.peer_slots());
      for (int i = 0; i < slots; ++i) channel_.Send({}, nullptr, 0, false);
    }
  }
  void OnSent(uint64_t) override { WS_CHECK(!closed_); }
  void OnClosed(const absl::Status& why) override {
    WS_CHECK(!closed_ && !why.ok());
    closed_ = true;
  }

 private:
  ChannelEnd& channel_;
  std::vector<std::byte> slot_ = std::vector<std::byte>(kSlotBytes);
  bool closed_ = false;
};

// The bytes on the wire that the input stands for.
std::string WireBytes(std::string_view input) {
  std::string wire;
  for (uint64_t sequence = 0; input.size() > 3 + kFrameHeaderBytes; ++sequence) {
    const auto fix = static_cast<uint8_t>(input[0]);
    uint16_t length;
    std::memcpy(&length, input.data() + 1, 2);
    HeaderBytes bytes;
    std::memcpy(bytes.data(), input.data() + 3, bytes.size());
    input.remove_prefix(3 + kFrameHeaderBytes);
    const std::string payload(input.substr(0, length));
    input.remove_prefix(payload.size());
    if (auto header = Decode(bytes); header.ok() && fix % 4 != 0) {
      if (fix & 2) header->sequence = sequence;
      if (fix & 1) header->length = payload.size();
      if (fix & 1) header->crc = FrameCrc(*header, reinterpret_cast<const std::byte*>(&payload[0]));
      bytes = Encode(*header);
    }
    wire.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    wire += payload;
  }
  return wire;
}

asio::awaitable<void> SkipHello(TcpStream& stream, bool& arrived) {
  arrived = (co_await ReadHello(stream)).ok();
}

void Receive(const std::string& wire) {
  int ends[2];
  WS_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  // Fits the socket's buffer, so nobody has to read meanwhile.
  WS_CHECK(write(ends[1], wire.data(), wire.size()) == static_cast<ssize_t>(wire.size()));
  shutdown(ends[1], SHUT_WR);
  asio::io_context io;
  // To Asio a stream socket is a stream socket.
  TcpStream stream(asio::ip::tcp::socket(io, asio::ip::tcp::v4(), ends[0]));
  bool arrived = false;
  asio::co_spawn(io, SkipHello(stream, arrived), asio::detached);
  io.run();
  if (arrived) {
    io.restart();
    const auto channel = std::make_shared<TcpChannel>(std::move(stream), kTerms, kAliveEvery);
    Peerless handler(*channel);
    channel->Open(handler);
    io.run();  // ends: the peer has closed
  }
  close(ends[1]);
}

}  // namespace
}  // namespace waferstream

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  waferstream::Receive(waferstream::WireBytes(
      {reinterpret_cast<const char*>(data), std::min<size_t>(size, 32 << 10)}));
  return 0;
}
