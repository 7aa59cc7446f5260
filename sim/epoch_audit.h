// What must hold in one epoch of one node, seen from outside its core; and its trace.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "fabric/frame.h"
#include "node/world.h"
#include "plan/plan.h"
#include "proto/node.pb.h"
#include "sim/sim_world.h"

namespace waferstream {

// 1. A MemoryX node takes every gradient block of a step at most once, and its blocks of one
//    (tile, contribution) overlap nowhere.
// 2. When it says that a step's gradients are there, the blocks of every contribution to a tile of
//    its cover all micro-batches.
class EpochAudit final : public EpochObserver {
 public:
  // All but the name outlive it.
  EpochAudit(SimWorld& world, std::string node, const PrepareRequest& request,
             const PrepareReply& reply, const Plan& plan);

  void OnStart() override { world_.Note(node_, "start"); }
  void OnCommit(uint64_t step) override { world_.Note(node_, "commit ", step); }
  void OnFrame(ChannelId channel, const FrameHeader& header) override;
  void OnCredit(ChannelId channel) override { world_.Note(node_, "credit ", channel); }
  void OnSent(uint64_t token) override { world_.Note(node_, "sent ", token); }
  void OnComputeDone(uint64_t id) override { world_.Note(node_, "computed ", id); }
  void OnReport(const NodeReport& report) override;

 private:
  void TakeGradient(const FrameHeader& header);

  using Gradient = std::tuple<uint64_t, uint32_t, uint8_t>;  // step, tile, contribution

  SimWorld& world_;
  const std::string node_;
  const PrepareRequest& request_;
  const PrepareReply& reply_;
  const Plan& plan_;
  std::map<Gradient, std::map<uint32_t, uint32_t>> landed_;  // [first leaf] = last leaf + 1
};

}  // namespace waferstream
