#include "fabric/tcp_channel.h"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/completion_condition.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/hash.h"
#include "base/status.h"
#include "fabric/tcp_socket.h"

namespace waferstream {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

// Read at once, and summed before the next: as much as stays in a core's second-level cache.
constexpr size_t kPieceBytes = 256 << 10;

// As a read of everything, but `heard` says that something came. Not asked about the piece that is
// the last one: whoever reads says so himself.
auto Hearing(bool& heard) {
  return [&heard](const error_code& error, size_t bytes) {
    if (bytes > 0) heard = true;
    return asio::transfer_all()(error, bytes);
  };
}

}  // namespace

asio::awaitable<absl::Status> TcpChannel::ReadFrame() {
  HeaderBytes bytes;
  error_code error;
  co_await asio::async_read(stream(), asio::buffer(bytes), Hearing(heard()),
                            asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return SocketError(error);
  heard() = true;
  if (closed()) co_return absl::OkStatus();  // while the completion was on its way here
  const absl::StatusOr<FrameHeader> header = flow().TakeHeader(bytes);
  if (!header.ok()) co_return header.status();
  if (header->kind == FrameKind::kCredit) co_return TakeCredit(*header);
  co_return co_await ReadPayload(*header);
}

asio::awaitable<absl::Status> TcpChannel::ReadPayload(const FrameHeader& header) {
  const absl::StatusOr<std::span<std::byte>> buffer = handler().BufferFor(header);
  if (!buffer.ok()) co_return buffer.status();
  WS_CHECK(buffer->size() == header.length);
  uint32_t crc = HeaderCrc(header);
  for (std::span<std::byte> rest = *buffer; !rest.empty();) {
    error_code error;
    const size_t came = co_await stream().async_read_some(
        asio::buffer(rest.data(), std::min(rest.size(), kPieceBytes)),
        asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return SocketError(error);
    heard() = true;
    if (closed()) co_return absl::OkStatus();
    crc = Crc32c(crc, rest.data(), came);
    rest = rest.subspan(came);
  }
  const absl::Status intact = ChannelFlow::CheckCrc(header, crc);
  if (!intact.ok()) co_return intact;
  co_return handler().OnFrame(header, buffer->data());
}

asio::awaitable<absl::StatusOr<bool>> TcpChannel::WriteSome() {
  std::optional<OutgoingFrame> frame = flow().Next();
  if (!frame.has_value()) co_return false;
  const std::span<const std::byte> payload(frame->payload, frame->header.length);
  const HeaderBytes header = flow().Seal(frame->header, payload);
  const std::array<asio::const_buffer, 2> parts = {asio::buffer(header),
                                                   asio::buffer(payload.data(), payload.size())};
  error_code error;
  co_await asio::async_write(stream(), parts, asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return SocketError(error);
  if (frame->token.has_value()) Left(*frame->token);
  co_return true;
}

}  // namespace waferstream
