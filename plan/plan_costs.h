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
  uint64_t state = 0;      // weights, gradient, optimizer state (MemoryX)
  uint64_t windows = 0;    // receive slots of all its channels
  std::vector<int> nodes;  // in Plan::tree_nodes (SwarmX)
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
  int state_bytes_per_parameter = 0;  // of MemoryX, with one contribution and one block
  int gradient_buffers = 0;           // blocks of one gradient that MemoryX has room for
  std::vector<ResidentBytes> memoryx;
  std::vector<ResidentBytes> swarmx;
  StepTraffic traffic;
  double step_flops = 0;       // of the model: 2 a multiply-add of every product, no recomputation
  double recompute_flops = 0;  // done a second time on top of them
  double verify_flops = 0;     // of verified micro-batches on their checkers, on average
};

// What MemoryX keeps of a parameter, all fp32. AdamW: weight, gradient and two moments, 16 B; SGD:
// weight, gradient and momentum, 12 B; else the weight, 4 B. A further contribution, and a
// further block that waits for a later wave, is 4 B more: plan costs count them.
int StateBytesPerParameter(const JobSpec& job);

PlanCosts CostsOf(const Plan& plan);

}  // namespace waferstream
