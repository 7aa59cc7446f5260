#include "sim/chaos_cluster.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "memoryx/memoryx_role.h"
#include "swarmx/swarmx_role.h"
#include "wafer_node/wafer_role.h"

namespace waferstream {
namespace {

const char* Prefix(Role role) {
  return role == MEMORYX ? "memoryx-" : role == SWARMX ? "swarmx-" : "wafer-";
}

}  // namespace

ChaosCluster::ChaosCluster(ChaosWorld& world, const ChaosPlan& plan)
    : world_(world), plan_(plan), tree_(plan.seed), fabric_(world), controller_(world, tree_) {}

ChaosCluster::~ChaosCluster() = default;

void ChaosCluster::Boot() {
  controller_.Boot();
  for (int i = 0; i < plan_.memoryx_nodes; ++i) AddNode(MEMORYX);
  for (int i = 0; i < plan_.swarmx_nodes; ++i) AddNode(SWARMX);
  for (int i = 0; i < plan_.wafer_nodes; ++i) AddNode(WAFER);
}

SimNode& ChaosCluster::AddNode(Role role) {
  const size_t index = nodes_.size();
  int same_role = 0;
  for (const auto& node : nodes_) same_role += node->role() == role;
  disks_.emplace_back();
  nodes_.push_back(std::make_unique<SimNode>(
      world_, fabric_, controller_,
      SimNode::Options{.id = absl::StrCat(Prefix(role), same_role),
                       .role = role,
                       .same_ports = plan_.same_ports,
                       .make_role = [this, role, index] { return MakeRole(role, index); },
                       .crash_disk =
                           [this, index] {
                             if (disks_[index] != nullptr) disks_[index]->Crash();
                           }}));
  controller_.AddNode(*nodes_.back());
  nodes_.back()->Boot();
  return *nodes_.back();
}

std::unique_ptr<NodeRole> ChaosCluster::MakeRole(Role role, size_t node) {
  if (role == SWARMX) return std::make_unique<SwarmxRole>();
  if (role == WAFER) return std::make_unique<WaferRole>();
  disks_[node] = std::make_unique<MemoryDisk::View>(
      tree_, [this](DiskOp op, const std::string& path) -> DiskFault {
        return disk_faults ? disk_faults(op, path) : DiskFault{};
      });
  return std::make_unique<MemoryxRole>(*disks_[node]);
}

}  // namespace waferstream
