// One control call (gRPC in production) between two processes of a chaos run.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "proto/controller.pb.h"
#include "proto/node.pb.h"
#include "sim/chaos_world.h"
#include "sim/sim_process.h"

namespace waferstream {

using ControlReply = std::variant<Empty, PrepareReply, SealReply, RegisterReply>;
using ControlAnswer = std::function<void(const absl::StatusOr<ControlReply>&)>;

struct ControlCall {
  SimProcess* from;
  SimProcess* to;
  // In `to`: does what is asked and answers, once, then or later.
  std::function<void(ControlAnswer)> serve;
  // In `from`, exactly once, if it lives.
  ControlAnswer done;
  // In `from`, instead of `done`: nobody listens there.
  std::function<void()> refused;
  int64_t timeout_ns;
};

// The request or its answer may be late, get lost, or be served twice. What a caller sees of a loss
// is UNAVAILABLE soon or DEADLINE_EXCEEDED in the end, as the seed has it.
void MakeCall(ChaosWorld& world, ControlCall call);

}  // namespace waferstream
