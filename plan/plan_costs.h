// What a plan costs: bytes resident, bytes on the wire, floating point operations. Formulas over
// the tables of the plan; nothing is measured.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/plan.h"

namespace waferstream {

// Bytes of one process.
struct ResidentBytes {
  int64_t elements = 0;    // of the parameters it owns (MemoryX)
  uint64_t weights = 0;    // MemoryX, as the next two
  uint64_t optimizer = 0;  // state, of what is trained
  uint64_t gradients = 0;  // of every contribution as many blocks as wait at once
  uint64_t workspace = 0;  // of the optimizer, for a tile of each shard
  uint64_t windows = 0;    // receive slots of all its channels
  std::vector<int> nodes;  // in Plan::tree_nodes (SwarmX)

  // What MemoryX keeps. AdamW with one contribution and one block: 16 B a parameter.
  uint64_t state() const { return weights + optimizer + gradients + workspace; }
};

// Of one training step, validation not counted; of a generation: of one token; of an evaluation: of
// one wave.
struct StepTraffic {
  uint64_t forward_stream = 0;  // bytes of one forward pass of the weights
  uint64_t backward_stream = 0;
  uint64_t weights_to_wafer = 0;      // waves * (forward + backward), into every wafer
  uint64_t gradient_stream = 0;       // bytes of one block of every gradient
  uint64_t gradients_from_wafer = 0;  // of the wafer that sends most
  uint64_t gradients_to_memoryx = 0;  // into all MemoryX processes together
};

struct PlanCosts {
  int gradient_buffers = 0;  // blocks of one gradient that MemoryX has room for
  std::vector<ResidentBytes> memoryx;
  std::vector<ResidentBytes> swarmx;
  StepTraffic traffic;
  double step_flops = 0;       // of the model: 2 a multiply-add of every product, no recomputation
  double recompute_flops = 0;  // done a second time on top of them
  double verify_flops = 0;     // of verified micro-batches on their checkers, on average
};

PlanCosts CostsOf(const Plan& plan);

}  // namespace waferstream
