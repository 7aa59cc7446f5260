// The cluster of one chaos run: nodes with their production roles, the controller, the fabric and
// the disk, on virtual time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/memory_disk.h"
#include "sim/chaos_plan.h"
#include "sim/chaos_world.h"
#include "sim/sim_controller_host.h"
#include "sim/sim_fabric.h"
#include "sim/sim_node.h"

namespace waferstream {

class ChaosCluster {
 public:
  ChaosCluster(ChaosWorld& world, const ChaosPlan& plan);
  ~ChaosCluster();

  // Boots the controller and all nodes, each at its own moment.
  void Boot();
  // One more node; boots it.
  SimNode& AddNode(Role role);

  const std::vector<std::unique_ptr<SimNode>>& nodes() const { return nodes_; }
  SimControllerHost& controller() { return controller_; }
  const SimControllerHost& controller() const { return controller_; }
  SimFabric& fabric() { return fabric_; }

  // Asked before every disk operation of a node.
  MemoryDisk::FaultHook disk_faults;

 private:
  std::unique_ptr<NodeRole> MakeRole(Role role, size_t node);

  ChaosWorld& world_;
  const ChaosPlan& plan_;
  MemoryDisk tree_;
  SimFabric fabric_;
  SimControllerHost controller_;
  std::vector<std::unique_ptr<MemoryDisk::View>> disks_;  // by node, of its present life
  std::vector<std::unique_ptr<SimNode>> nodes_;
};

}  // namespace waferstream
