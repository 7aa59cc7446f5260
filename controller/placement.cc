#include "controller/placement.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace waferstream {
namespace {

using Ids = std::vector<std::string>;

struct FreeNodes {
  Ids memoryx;
  Ids swarmx;
  std::map<std::string, Ids> wafers;  // by kernel_isa
};

FreeNodes Sort(const NodeTable& table) {
  FreeNodes free;
  for (const auto& [id, node] : table.nodes()) {
    if (!node.free()) continue;
    switch (node.info.role()) {
      case WAFER:
        free.wafers[node.info.kernel_isa()].push_back(id);
        break;
      case MEMORYX:
        free.memoryx.push_back(id);
        break;
      default:
        free.swarmx.push_back(id);
        break;
    }
  }
  return free;
}

const Ids& LargestIsa(const std::map<std::string, Ids>& wafers) {
  static const Ids none;
  const Ids* best = &none;
  for (const auto& [isa, ids] : wafers) {
    if (ids.size() > best->size()) best = &ids;
  }
  return *best;
}

// Appends "2 more wafer nodes" when `free` is not enough.
void Require(const Ids& free, int wanted, Role role, std::vector<std::string>& missing) {
  const int lacking = wanted - static_cast<int>(free.size());
  if (lacking <= 0) return;
  missing.push_back(
      absl::StrCat(lacking, " more ", RoleName(role), lacking == 1 ? " node" : " nodes"));
}

void Take(const Ids& free, int count, Role role, std::vector<PlacedProcess>& placed) {
  for (int i = 0; i < count; ++i) placed.push_back({role, i, free[i]});
}

}  // namespace

absl::StatusOr<std::vector<PlacedProcess>> Place(const ClusterShape& shape,
                                                 const NodeTable& nodes) {
  const FreeNodes free = Sort(nodes);
  const Ids& wafers = LargestIsa(free.wafers);
  std::vector<std::string> missing;
  Require(free.memoryx, shape.memoryx, MEMORYX, missing);
  Require(free.swarmx, shape.swarmx, SWARMX, missing);
  Require(wafers, shape.wafers, WAFER, missing);
  if (!missing.empty()) {
    const bool mixed = free.wafers.size() > 1 && static_cast<int>(wafers.size()) < shape.wafers;
    return absl::UnavailableError(
        absl::StrCat("waiting for ", absl::StrJoin(missing, " and "),
                     mixed ? " (all wafers of a job need the same kernel_isa)" : ""));
  }
  std::vector<PlacedProcess> placed;
  Take(free.memoryx, shape.memoryx, MEMORYX, placed);
  Take(free.swarmx, shape.swarmx, SWARMX, placed);
  Take(wafers, shape.wafers, WAFER, placed);
  return placed;
}

}  // namespace waferstream
