#include "sim/sim_cluster.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "swarmx/swarmx_role.h"

namespace waferstream {
namespace {

const char* Prefix(Role role) {
  return role == MEMORYX ? "memoryx-" : role == SWARMX ? "swarmx-" : "wafer-";
}

}  // namespace

SimCluster::SimCluster(SimWorld& world, const SimClusterSpec& spec)
    : world_(world),
      spec_(spec),
      tree_(spec.seed),
      controller_disk_(tree_),
      fabric_(world),
      controller_(world, files()) {}

// Connections and events refer to the processes at both their ends: they go before any of these.
SimCluster::~SimCluster() {
  for (const auto& node : nodes_) {
    if (node->process().alive()) node->Kill(true);
  }
  world_.queue.Clear();
}

void SimCluster::Boot() {
  controller_.Boot();
  for (int i = 0; i < spec_.memoryx; ++i) AddNode(MEMORYX);
  for (int i = 0; i < spec_.swarmx; ++i) AddNode(SWARMX);
  for (int i = 0; i < spec_.wafers; ++i) AddNode(WAFER);
}

SimNode& SimCluster::AddNode(Role role) {
  const size_t index = nodes_.size();
  int same_role = 0;
  for (const auto& node : nodes_) same_role += node->role() == role;
  disks_.emplace_back();
  nodes_.push_back(std::make_unique<SimNode>(
      world_, fabric_, controller_,
      SimNode::Options{.id = absl::StrCat(Prefix(role), same_role),
                       .role = role,
                       .same_ports = spec_.same_ports,
                       .make_role = [this, role, index] { return MakeRole(role, index); },
                       .crash_disk =
                           [this, index] {
                             if (disks_[index] != nullptr) disks_[index]->Crash();
                           }}));
  controller_.AddNode(*nodes_.back());
  nodes_.back()->Boot();
  return *nodes_.back();
}

std::unique_ptr<NodeRole> SimCluster::MakeRole(Role role, size_t node) {
  if (role == SWARMX) return std::make_unique<SwarmxRole>();
  Disk& disk = DiskOf(node);
  if (role == WAFER) return std::make_unique<WaferRole>(disk, spec_.wafer_faults);
  return std::make_unique<MemoryxRole>(disk, spec_.memoryx_faults);
}

Disk& SimCluster::DiskOf(size_t node) {
  if (spec_.disk != nullptr) return *spec_.disk;
  disks_[node] = std::make_unique<MemoryDisk::View>(
      tree_, [this](DiskOp op, const std::string& path) -> DiskFault {
        return disk_faults ? disk_faults(op, path) : DiskFault{};
      });
  return *disks_[node];
}

}  // namespace waferstream
