// Calls the Node services of the cluster, without blocking.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/credentials.h"
#include "controller/node_call.h"
#include "rpc/async_calls.h"

namespace waferstream {

// A call waits for the node's port to open, and is made again when its connection breaks; both are
// safe because every call is idempotent. It ends with the node's answer or at its deadline:
// Prepare and SealCheckpoint read or write whole checkpoints and have 10 minutes, the others 30 s.
// A node that is gone is noticed earlier, by its lease.
//
// Thread-safe. Answers are given on gRPC's threads and must not block them.
class NodeClient {
 public:
  using Done = std::function<void(NodeCallResult)>;
  using LogDone = std::function<void(absl::StatusOr<ReadLogReply>)>;

  explicit NodeClient(Credentials credentials);
  // Cancels; every call is answered before this returns.
  ~NodeClient();

  void Make(NodeCall call, Done done);
  void ReadLog(const std::string& address, uint64_t bytes_max, LogDone done);

  // Ends all calls, and every later one at once, with CANCELLED.
  void CancelAll() { calls_.CancelAll(); }

 private:
  class Stubs;

  std::unique_ptr<Stubs> stubs_;
  AsyncCalls calls_;  // last: they end first
};

}  // namespace waferstream
