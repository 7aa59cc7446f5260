// The calls that the controller makes to a node, as values: the core says which one, the shell
// makes it and brings back what came of it.
#pragma once

#include <cstdint>
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

}  // namespace waferstream
