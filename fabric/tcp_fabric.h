// The tcp and the shm adapter as a Fabric.
#pragma once

#include <memory>
#include <utility>

#include "fabric/fabric.h"
#include "fabric/tcp_listener.h"

namespace waferstream {

// On the io_context's thread, which outlives it.
class TcpFabric final : public Fabric {
 public:
  // `options`: of the listening end; the credentials are for both.
  TcpFabric(boost::asio::io_context& io, TcpListenerOptions options)
      : io_(io), options_(std::move(options)) {}

  std::shared_ptr<PendingDial> Dial(DialRequest request, Dialled done) override;
  absl::StatusOr<std::unique_ptr<FabricListener>> Listen(AcceptHandler& handler) override;

 private:
  boost::asio::io_context& io_;
  const TcpListenerOptions options_;
};

}  // namespace waferstream
