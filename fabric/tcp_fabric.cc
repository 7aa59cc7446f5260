#include "fabric/tcp_fabric.h"

#include "base/status.h"
#include "fabric/tcp_dial.h"

namespace waferstream {

std::shared_ptr<PendingDial> TcpFabric::Dial(DialRequest request, Dialled done) {
  return StartTcpDial(io_, std::move(request),
                      {.credentials = options_.credentials,
                       .dead_after = options_.dead_after,
                       .alive_every = options_.alive_every,
                       .kind = options_.kind},
                      std::move(done));
}

absl::StatusOr<std::unique_ptr<FabricListener>> TcpFabric::Listen(AcceptHandler& handler) {
  return TcpListener::Create(io_, options_, handler);
}

}  // namespace waferstream
