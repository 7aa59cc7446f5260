// A simulated cluster: nodes with their production roles, the controller, the fabric and the disk,
// on virtual time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/memory_disk.h"
#include "memoryx/memoryx_role.h"
#include "sim/sim_controller_host.h"
#include "sim/sim_fabric.h"
#include "sim/sim_node.h"
#include "sim/sim_world.h"
#include "wafer_node/wafer_role.h"

namespace waferstream {

struct SimClusterSpec {
  int memoryx = 1;
  int swarmx = 1;
  int wafers = 1;
  bool same_ports = true;  // of a node in all its lives
  // Of data and checkpoints; outlives the cluster. Null: a MemoryDisk, of which a crash tears what
  // was not synced.
  Disk* disk = nullptr;
  uint64_t seed = 0;                                 // of what a crash leaves
  WaferRole::MakeFaults wafer_faults = nullptr;      // null: all compute right
  MemoryxRole::MakeFaults memoryx_faults = nullptr;  // null: all remember right
};

class SimCluster {
 public:
  SimCluster(SimWorld& world, const SimClusterSpec& spec);
  ~SimCluster();

  // Boots the controller and all nodes, each at its own moment.
  void Boot();
  // One more node; boots it.
  SimNode& AddNode(Role role);

  const std::vector<std::unique_ptr<SimNode>>& nodes() const { return nodes_; }
  SimControllerHost& controller() { return controller_; }
  const SimControllerHost& controller() const { return controller_; }
  SimFabric& fabric() { return fabric_; }
  // The disk that all share, where nothing fails.
  Disk& files() { return spec_.disk != nullptr ? *spec_.disk : controller_disk_; }

  // Asked before every operation of a node on the MemoryDisk.
  MemoryDisk::FaultHook disk_faults;

 private:
  std::unique_ptr<NodeRole> MakeRole(Role role, size_t node);
  // Of the node's new life.
  Disk& DiskOf(size_t node);

  SimWorld& world_;
  const SimClusterSpec spec_;
  MemoryDisk tree_;
  MemoryDisk::View controller_disk_;
  SimFabric fabric_;
  SimControllerHost controller_;
  std::vector<std::unique_ptr<MemoryDisk::View>> disks_;  // by node, of its present life
  std::vector<std::unique_ptr<SimNode>> nodes_;
};

}  // namespace waferstream
