// Where a process is asked for its metrics: GET /metrics. Under TLS by whoever has a certificate of
// the role user; otherwise in the clear by whoever reaches the port.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/metrics.h"
#include "base/tls_identity.h"

namespace waferstream {

struct MetricsOptions {
  std::string listen = "127.0.0.1";                  // address of this host, a literal
  uint16_t port = 0;                                 // 0: any free one
  std::string process;                               // "controller", "memoryx", "swarmx" or "wafer"
  std::shared_ptr<const TlsIdentity> tls = nullptr;  // null: in the clear
  // What there is beside the process itself. On the server's thread; may block.
  std::function<MetricFamilies()> collect;
};

// Serves from Start to its end, which waits for a collect that runs: whatever that asks must still
// answer then.
class MetricsServer {
 public:
  // UNAVAILABLE, naming the address, when it cannot be had.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(MetricsOptions options);
  virtual ~MetricsServer() = default;

  virtual uint16_t port() const = 0;
};

}  // namespace waferstream
