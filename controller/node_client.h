// Calls the Node services of the cluster, without blocking.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/credentials.h"
#include "controller/node_call.h"

namespace grpc {
class ClientContext;
}

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
  void CancelAll();

 private:
  class Stubs;
  template <typename Request, typename Reply>
  struct Flight;
  template <typename Request, typename Reply>
  void Launch(std::shared_ptr<Flight<Request, Reply>> flight);

  // Registers a call in progress; false when calls are no longer made.
  bool Enter(grpc::ClientContext* context);
  void Leave(grpc::ClientContext* context);
  bool cancelled();

  absl::Mutex mutex_;
  std::set<grpc::ClientContext*> in_flight_ ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::unique_ptr<Stubs> stubs_;
};

}  // namespace waferstream
