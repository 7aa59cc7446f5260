// The fault workloads of a chaos run: each strikes at its own moments, independent of the job and
// of one another, until the faults end.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/chaos_plan.h"
#include "sim/dice.h"
#include "sim/sim_cluster.h"
#include "sim/sim_world.h"

namespace waferstream {

// When the faults end, whoever is down comes back, soon, and the disk works. Lives as long as the
// run.
class FaultInjector {
 public:
  FaultInjector(SimWorld& world, const ChaosPlan& plan, SimCluster& cluster);

  void Begin();

 private:
  enum class DiskState { kGood, kFull, kReadOnly, kUnreliable };

  void Schedule(const FaultWorkload& workload);
  void Strike(FaultKind kind);

  void KillNode(bool for_good);
  void FreezeNode();
  void IsolateNode();
  void BreakChannel(FaultKind kind);
  void HangNode();
  void KillController();
  void FreezeController();
  void HangController();
  void SpoilDisk();
  void JoinNode();
  void DrainNode();
  void StopNode();
  // A user who insists.
  void Uncordon(const SimNode& node);

  // A node that lives and is not frozen; null: none.
  SimNode* PickNode();
  DiskFault OnDisk(DiskOp op, const std::string& path) const;
  // A while that a lease may or may not outlast.
  int64_t AWhile();

  SimWorld& world_;
  const ChaosPlan& plan_;
  SimCluster& cluster_;
  Dice dice_;
  DiskState disk_ = DiskState::kGood;
  std::map<Role, int> spares_;  // nodes that may go for good
  int joins_left_ = 2;
};

}  // namespace waferstream
