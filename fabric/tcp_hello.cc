#include "fabric/tcp_hello.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/protocol_range.h"
#include "fabric/frame.h"
#include "fabric/tcp_socket.h"

namespace waferstream {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

const std::byte* Bytes(const std::string& text) {
  return reinterpret_cast<const std::byte*>(text.data());
}

absl::StatusOr<Hello> Parse(const FrameHeader& header, const std::string& payload) {
  if (FrameCrc(header, Bytes(payload)) != header.crc) {
    return absl::DataLossError("checksum mismatch in the Hello frame");
  }
  Hello hello;
  if (!hello.ParseFromString(payload)) {
    return absl::InvalidArgumentError("the payload of the Hello frame is not a Hello message");
  }
  return hello;
}

}  // namespace

asio::awaitable<absl::Status> WriteHello(TcpStream& stream, Hello hello) {
  hello.set_protocol_version(OwnProtocols().newest);
  hello.set_protocol_oldest(OwnProtocols().oldest);
  const std::string payload = hello.SerializeAsString();
  FrameHeader header;
  header.kind = FrameKind::kHello;
  header.epoch = hello.epoch();
  header.length = payload.size();
  header.crc = FrameCrc(header, Bytes(payload));
  const HeaderBytes bytes = Encode(header);
  const std::array<asio::const_buffer, 2> parts = {asio::buffer(bytes), asio::buffer(payload)};
  error_code error;
  co_await asio::async_write(stream, parts, asio::redirect_error(asio::use_awaitable, error));
  co_return SocketError(error);
}

asio::awaitable<absl::StatusOr<Hello>> ReadHello(TcpStream& stream) {
  HeaderBytes bytes;
  error_code error;
  co_await asio::async_read(stream, asio::buffer(bytes),
                            asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return SocketError(error);
  const absl::StatusOr<FrameHeader> header = Decode(bytes);
  if (!header.ok()) co_return header.status();
  if (header->kind != FrameKind::kHello || header->sequence != 0 ||
      header->protocol != kHelloProtocol) {
    co_return absl::InvalidArgumentError(
        absl::StrCat("expected a Hello first, got ", Describe(*header)));
  }
  if (header->length > kHelloBytesMax) {
    co_return absl::InvalidArgumentError(absl::StrCat(
        "a Hello of ", header->length, " bytes; at most ", kHelloBytesMax, " are allowed"));
  }
  std::string payload(header->length, '\0');
  co_await asio::async_read(stream, asio::buffer(payload),
                            asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return SocketError(error);
  co_return Parse(*header, payload);
}

absl::StatusOr<uint16_t> ProtocolWith(const Hello& theirs) {
  const ProtocolRange protocols = ProtocolsOf(theirs.protocol_version(), theirs.protocol_oldest());
  const auto chosen = AgreeOnProtocol({"the peer", protocols}, {"this node", OwnProtocols()});
  if (!chosen.ok()) return chosen.status();
  return static_cast<uint16_t>(*chosen);
}

}  // namespace waferstream
