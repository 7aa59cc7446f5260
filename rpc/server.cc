#include "rpc/server.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/host_port.h"
#include "rpc/quiet.h"
#include "rpc/tls.h"

namespace waferstream {
namespace {

// A job's losses are the largest message: a million steps have 8 MB.
constexpr int kMessageBytesMax = 64 << 20;
// Of one connection at a time: as many Watch calls as there may be (256), and others beside them.
constexpr int kStreamsMax = 512;
// Whoever connects and then says nothing, or a byte a minute, does not stay.
constexpr int kHandshakeMsMax = 5'000;
constexpr int kIdleMsMax = 600'000;
// A gRPC call's metadata: a proof and a token are below 1 KiB.
constexpr int kMetadataBytesMax = 16 << 10;

void Configure(grpc::ServerBuilder& builder) {
  // With it, gRPC's default, two processes given the same port would share it without a word, each
  // getting half of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Peers ping every second or few (rpc/channel.h); by default gRPC takes that for an attack and
  // hangs up.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 500);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  builder.SetMaxReceiveMessageSize(kMessageBytesMax);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsMax);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMetadataBytesMax);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMsMax);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleMsMax);
}

}  // namespace

absl::StatusOr<RunningServer> StartServer(grpc::Service& service, const ServerOptions& options) {
  QuietGrpc();
  const std::string address = JoinHostPort(options.listen, options.port);
  grpc::ServerBuilder builder;
  Configure(builder);
  int bound = 0;
  builder.AddListeningPort(
      address,
      options.tls == nullptr ? grpc::InsecureServerCredentials() : TlsForServer(options.tls),
      &bound);
  builder.RegisterService(&service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || bound == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", address, ": in use, or not an address of this host"));
  }
  const auto port = static_cast<uint16_t>(bound);
  if (options.door != nullptr) {
    options.door->Open(options.advertised_port != 0 ? options.advertised_port : port);
  }
  return RunningServer{.server = std::move(server), .port = port};
}

}  // namespace waferstream
