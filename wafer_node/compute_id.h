// What the id of a wafer's ComputeAction says: a trace of a shell shows by it what was computed.
#pragma once

#include <cstdint>

#include "plan/pass.h"

namespace waferstream {

struct ComputeId {
  PassKind pass = PassKind::kForward;
  int resident = 0;  // micro-batches
  int op = 0;        // index in the pass's ops
};

// Of the action that reads a wave's tokens.
constexpr uint64_t kReadTokensId = ~uint64_t{0};

constexpr uint64_t Encode(const ComputeId& id) {
  return static_cast<uint64_t>(id.pass) << 56 | static_cast<uint64_t>(id.resident) << 32 |
         static_cast<uint64_t>(id.op);
}

}  // namespace waferstream
