// Calls the Node services of the cluster, without blocking.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/credentials.h"
#include "base/loop.h"
#include "controller/node_call.h"
#include "rpc/async_calls.h"

namespace waferstream {

// NodeCalls over gRPC. Thread-safe.
class NodeClient final : public NodeCalls {
 public:
  using LogDone = std::function<void(absl::StatusOr<ReadLogReply>)>;

  // Answers are posted to `loop`, which outlives the client.
  NodeClient(Loop& loop, Credentials credentials);
  // Cancels; every call is answered before this returns.
  ~NodeClient() override;

  void Make(NodeCall call, std::function<void(NodeCallResult)> done) override;
  void CancelAll() override { calls_.CancelAll(); }

  void ReadLog(const std::string& address, uint64_t bytes_max, LogDone done);

 private:
  class Stubs;

  Loop& loop_;
  std::unique_ptr<Stubs> stubs_;
  AsyncCalls calls_;  // last: they end first
};

}  // namespace waferstream
