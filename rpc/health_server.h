// Whether a process lives and may be given work, for whoever supervises it: gRPC's standard health
// service (grpc.health.v1.Health, as Kubernetes' probes ask it) on a port of its own, in the clear,
// for whoever asks. It tells nothing else and takes nothing.
//
// Services: "live", and "" as well: the process's loop answers; whether any peer does is no part of
// it. "ready": it may be given work.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace waferstream {

struct HealthOptions {
  std::string listen = "127.0.0.1";  // address of this host, a literal
  uint16_t port = 0;                 // 0: any free one
  // Asks the loop whether the process is ready, and returns at once; the answer comes from the
  // loop, or never. Called on the server's thread, not after Stop.
  std::function<void(std::function<void(bool ready)> answer)> ask;
  // A loop that is silent for so long hangs. Far more than a busy machine takes.
  absl::Duration silence_max = absl::Seconds(10);
  absl::Duration ask_every = absl::Milliseconds(500);
};

// Serves from Start to its end. An answer may still come later.
class HealthServer {
 public:
  // Before the process has other gRPC servers (gRPC's switch for the service is global, and is off
  // again afterwards). UNAVAILABLE, naming the address, when it cannot be had.
  static absl::StatusOr<std::unique_ptr<HealthServer>> Start(HealthOptions options);
  virtual ~HealthServer() = default;

  virtual uint16_t port() const = 0;
};

}  // namespace waferstream
