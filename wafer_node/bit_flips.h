// A machine that flips one bit, as a FaultSpec says, and does not notice. In test builds only.
//
//   weights     of the tile as it was received: before the forward op that first uses it
//   activation  of what the forward op that works on the tile has written
//   gradient    of the tile: when it has been made, before it is hashed and summed
//
// It happens in the first wave of the step, weights apart to the first resident micro-batch only;
// and again whenever that step is done again, as a broken part would.
#pragma once

#include "base/fault_spec.h"
#include "wafer_node/compute_faults.h"

namespace waferstream {

class BitFlips final : public ComputeFaults {
 public:
  explicit BitFlips(const FaultSpec& spec) : spec_(spec) {}

  void BeforeOp(const OpContext& c) override;
  void AfterOp(const OpContext& c) override;
  void OnGradient(const OpContext& c, int g, int resident, int64_t first, float* values,
                  int64_t count) override;

 private:
  bool IsNow(const OpContext& c) const;

  const FaultSpec spec_;
};

}  // namespace waferstream
