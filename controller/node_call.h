// The calls that the controller makes to a node, as values: the core says which one, the shell
// makes it and brings back what came of it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "node/control.h"

namespace waferstream {

struct NodeCall {
  std::string job_id;
  uint32_t epoch = 0;
  std::string node_id;
  uint64_t incarnation = 0;  // of the node that the call was meant for
  std::string address;       // host:port of its Node service
  NodeRequest request;
};

struct NodeCallResult {
  NodeCall call;  // as it was asked for
  absl::Status status;
  NodeReply reply;
};

// The nodes as the controller sees them.
class NodeCalls {
 public:
  virtual ~NodeCalls() = default;

  // A call waits for the node's port to open, and is made again when its connection breaks; both
  // are safe because every call is idempotent. It ends with the node's answer or in silence:
  // Prepare and SealCheckpoint read or write whole checkpoints and have long, the others less. A
  // node that is gone is noticed earlier, by its lease. `done` is called once, on the controller's
  // loop.
  virtual void Make(NodeCall call, std::function<void(NodeCallResult)> done) = 0;

  // Ends all calls, and every later one at once, with CANCELLED.
  virtual void CancelAll() = 0;
};

}  // namespace waferstream
