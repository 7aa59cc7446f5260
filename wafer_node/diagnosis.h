// Looks, op by op, for the first number that is not finite: in the weights as they were received,
// and in what the op wrote. That costs a pass over all of it, so only a step that is done again, to
// learn where its bad numbers come from, is watched (PrepareRequest.diagnose).
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "proto/node.pb.h"
#include "wafer_node/op_context.h"

namespace waferstream {

// OnGradient may be called from any thread of the running op, OnOp when it has ended, Take between
// ops.
class Diagnosis {
 public:
  // A piece of a gradient, before it is summed.
  void OnGradient(int resident, const float* values, int64_t count);
  void OnOp(const OpContext& c);

  // What was found first since the last call, and of that op in the first resident micro-batch.
  std::optional<NonFinite> Take();

 private:
  static constexpr int kNone = std::numeric_limits<int>::max();

  void Note(int resident);
  void Keep(const OpContext& c, int resident, std::string where);

  std::atomic<int> bad_{kNone};  // the first resident in which the running op left a bad number
  std::optional<NonFinite> first_;
};

}  // namespace waferstream
