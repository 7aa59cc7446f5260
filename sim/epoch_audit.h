// What must hold in one epoch of one node, seen from outside its core.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "fabric/frame.h"
#include "plan/plan.h"
#include "proto/node.pb.h"
#include "sim/chaos_world.h"

namespace waferstream {

// 1. A MemoryX node takes every gradient block of a step at most once, and its blocks of one
//    (tile, contribution) overlap nowhere.
// 2. When it says that a step's gradients are there, the blocks of every tile of its cover all
//    micro-batches.
// 3. A wafer's SRAM peak never exceeds the plan's.
class EpochAudit {
 public:
  EpochAudit(ChaosWorld& world, std::string node, const PrepareRequest& request,
             const PrepareReply& reply, const Plan& plan);

  void OnFrame(const FrameHeader& header);
  void OnReport(const NodeReport& report);

 private:
  using Gradient = std::tuple<uint64_t, uint32_t, uint8_t>;  // step, tile, contribution

  ChaosWorld& world_;
  const std::string node_;
  const PrepareRequest& request_;
  const PrepareReply& reply_;
  const Plan& plan_;
  std::map<Gradient, std::map<uint32_t, uint32_t>> landed_;  // [first leaf] = last leaf + 1
};

}  // namespace waferstream
