#include "rpc/channel.h"

#include <arpa/inet.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/host_port.h"
#include "rpc/prover.h"
#include "rpc/quiet.h"
#include "rpc/tls.h"

namespace waferstream {
namespace {

// A process that was restarted must be found again at once; gRPC's own pauses grow to two minutes.
constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
constexpr absl::Duration kPauseMax = absl::Seconds(1);
// A pod that was restarted has another address behind the same name; gRPC's own pause is half a
// minute.
constexpr absl::Duration kBetweenLookUps = absl::Seconds(1);

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(duration / absl::Milliseconds(1));
}

grpc::ChannelArguments ArgumentsFor(const ChannelPatience& patience) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Nor does a name server decide how calls are made.
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, Milliseconds(kFirstPause));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, Milliseconds(kPauseMax));
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, Milliseconds(patience.connect_within));
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, Milliseconds(kBetweenLookUps));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(patience.ping_every));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(patience.answer_within));
  return arguments;
}

bool IsIpv4(const std::string& host) {
  in_addr ignored;
  return inet_pton(AF_INET, host.c_str(), &ignored) == 1;
}

std::vector<std::string> RolesOf(Callee callee) {
  if (callee == Callee::kController) return {"controller"};
  return {"memoryx", "swarmx", "wafer"};
}

}  // namespace

std::string TargetOf(const std::string& address) {
  const absl::StatusOr<HostPort> at = SplitHostPort(address);
  if (at.ok() && IsIpv4(at->host)) return absl::StrCat("ipv4:", address);
  if (at.ok() && at->host.find(':') != std::string::npos) {
    return absl::StrCat("ipv6:",
                        absl::StrReplaceAll(address, {{"%", "%25"}, {"[", "%5B"}, {"]", "%5D"}}));
  }
  return absl::StrCat("dns:///", address);
}

std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address,
                                           const ChannelPatience& patience,
                                           const Credentials& credentials) {
  QuietGrpc();
  const HostPort at = SplitHostPort(address).value_or(HostPort());
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
  if (credentials.secret != nullptr) {
    interceptors.push_back(MakeProver(credentials.secret, address, at.port));
  }
  const std::shared_ptr<grpc::ChannelCredentials> security =
      credentials.tls == nullptr ? grpc::InsecureChannelCredentials()
                                 : TlsForCaller(credentials.tls, at.host, RolesOf(patience.callee));
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      TargetOf(address), security, ArgumentsFor(patience), std::move(interceptors));
}

}  // namespace waferstream
