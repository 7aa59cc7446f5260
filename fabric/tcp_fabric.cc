#include "fabric/tcp_fabric.h"

#include "base/status.h"
#include "fabric/tcp_dial.h"

namespace waferstream {

std::shared_ptr<PendingDial> TcpFabric::Dial(DialRequest request, Dialled done) {
  return TcpDial::Start(io_,
                        {.host = std::move(request.host),
                         .port = request.port,
                         .hello = std::move(request.hello),
                         .terms = std::move(request.terms),
                         .timeout = request.timeout,
                         .credentials = options_.credentials,
                         .dead_after = options_.dead_after,
                         .alive_every = options_.alive_every},
                        std::move(done));
}

absl::StatusOr<std::unique_ptr<FabricListener>> TcpFabric::Listen(AcceptHandler& handler) {
  return TcpListener::Create(io_, options_, handler);
}

}  // namespace waferstream
