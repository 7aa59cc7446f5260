// Who takes part in a job's next epoch.
//
// A new job gets all it asks for at once, or waits (gang placement). A job that has begun goes on
// with what there is, within its bounds: the members of its last epoch that are left, and free
// nodes in the place of those that are not. Draining nodes, and those that were told to stop, are
// left out where the job can do without. A MemoryX node that alone holds some shard stays until
// another one, taken beside it, has been filled.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/node_table.h"
#include "controller/shard_map.h"
#include "plan/plan.h"

namespace waferstream {

// One process of the plan and the node it runs on.
struct PlacedProcess {
  Role role = MEMORYX;
  int index = 0;  // process index of the role in the plan
  std::string node_id;
};

struct Membership {
  std::vector<PlacedProcess> placed;  // in the order MemoryX, SwarmX, wafers
  ClusterShape shape;
  bool keep = false;  // the owners hold their shards; otherwise all are loaded
};

struct MemberNeeds {
  std::string job_id;
  const ClusterSpec* cluster = nullptr;
  bool trains = true;  // else there is one copy of every shard
  bool begun = false;  // it has had an epoch
  // That its wafers must have (plan/kernel_order.h): "portable": any with fused sums; empty: any
  // one.
  std::string kernel_isa;
  uint32_t numerics = 1;  // that all its nodes must have (base/version.h)
  const ShardMap* holdings = nullptr;
  const FillMap* fills = nullptr;  // whoever is in the middle of a fill goes on with it; or null
  bool may_load = true;  // if nobody holds some shard: load all, rather than wait for a holder
  std::set<std::string> excluded;  // failed this job too often; taken only if there are no others
  int wafers_most =
      0;  // no more than these, even if the job asked for more; 0: as many as it asked for
  // Jobs that give this one what they hold and do not use now: their wafer and SwarmX nodes, and
  // (true) their MemoryX nodes too. Nodes that are being released then count as free.
  std::map<std::string, bool> yield = {};
  int rotation = 0;  // moves micro-batches to other wafers: wafer i takes the place of i + 1
};

// Deterministic in its arguments. All wafers compute with one kernel_isa, because the job's numbers
// depend on it; of several that would do, the one with the most nodes is taken.
// UNAVAILABLE: the reason to wait, e.g. "waiting for 2 more wafer nodes". FAILED_PRECONDITION,
// naming both: there are wafers enough, but none that computes with the job's kernel_isa.
absl::StatusOr<Membership> ChooseMembers(const MemberNeeds& needs, const NodeTable& nodes);

// That a new job needs; what has begun may go on with one, unless the job says otherwise.
int LeastWafers(const ClusterSpec& cluster);

std::set<std::string> NodesOf(const Membership& members);

// Whether the job loses nothing if this member goes: all that it holds, others hold that stay.
bool CanDoWithout(const KnownNode& node, const MemberNeeds& needs, const NodeTable& nodes);

// Whether an epoch with `next` instead of `now` would be worth its price: it has nodes that `now`
// has not, is without some that should leave, or fills copies that are missing.
bool IsBetter(const Membership& next, const Membership& now);

}  // namespace waferstream
