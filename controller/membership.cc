#include "controller/membership.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/mark.h"
#include "base/status.h"
#include "base/version.h"
#include "plan/kernel_order.h"

namespace waferstream {
namespace {

using Ids = std::vector<std::string>;

// The nodes that a job could have now, members first.
struct Candidates {
  Ids memoryx;
  Ids swarmx;
  std::map<std::string, Ids> wafers;  // by kernel_isa
};

bool IsMember(const KnownNode& node, const MemberNeeds& needs) {
  return !node.lost && node.job_id == needs.job_id;
}

bool HoldsShards(const KnownNode& node, const MemberNeeds& needs) {
  return needs.holdings->HoldsAny(node.info.node_id(), node.info.incarnation());
}

bool ComputesLike(const KnownNode& node, const MemberNeeds& needs) {
  return NumericsSaid(node.info.numerics()) == needs.numerics;
}

// The name of what a wafer computes with, as this job tells wafers apart: of a portable one all
// that can do it are alike.
std::string KernelsOf(const KnownNode& node, const MemberNeeds& needs) {
  const bool alike = needs.kernel_isa == kPortableKernels && HasFusedSums(node.info.kernel_isa());
  return alike ? kPortableKernels : node.info.kernel_isa();
}

// A node that should go, but is asked to stay if nobody else has what it holds.
bool ShouldLeave(const KnownNode& node, const MemberNeeds& needs) {
  return node.leaves() || needs.excluded.count(node.info.node_id()) > 0;
}

bool IsYielded(const KnownNode& node, const MemberNeeds& needs) {
  if (node.lost || node.closed()) return false;
  const auto job = needs.yield.find(node.job_id);
  return job != needs.yield.end() && (job->second || node.info.role() != MEMORYX);
}

// Where a node comes from, the dearest last.
enum class Source { kMembers, kFree, kReleased, kYielded };

bool IsFrom(Source source, const KnownNode& node, const MemberNeeds& needs) {
  switch (source) {
    case Source::kMembers:
      return IsMember(node, needs);
    case Source::kFree:
      return node.free();
    case Source::kReleased:
      return !needs.yield.empty() && !node.lost && !node.closed() && node.job_id.empty() &&
             !node.free();
    case Source::kYielded:
      return IsYielded(node, needs);
  }
  return false;
}

void Collect(const MemberNeeds& needs, const NodeTable& table, Source source, Candidates& out) {
  for (const auto& [id, node] : table.nodes()) {
    if (!IsFrom(source, node, needs) || !ComputesLike(node, needs)) continue;
    const bool needed = node.info.role() == MEMORYX && HoldsShards(node, needs);
    if (ShouldLeave(node, needs) && !needed) continue;
    switch (node.info.role()) {
      case WAFER:
        out.wafers[KernelsOf(node, needs)].push_back(id);
        break;
      case MEMORYX:
        out.memoryx.push_back(id);
        break;
      default:
        out.swarmx.push_back(id);
        break;
    }
  }
}

const Ids& WafersOfOneIsa(const MemberNeeds& needs, const Candidates& candidates) {
  static const Ids none;
  if (!needs.kernel_isa.empty()) {
    const auto at = candidates.wafers.find(needs.kernel_isa);
    return at == candidates.wafers.end() ? none : at->second;
  }
  const Ids* best = &none;
  for (const auto& [isa, ids] : candidates.wafers) {
    if (ids.size() > best->size()) best = &ids;
  }
  return *best;
}

// Wafers of another kind than the job's that could do the work, if it were not for that.
int Unlike(const MemberNeeds& needs, const Candidates& candidates, std::string& isa) {
  size_t most = 0;
  for (const auto& [other, ids] : candidates.wafers) {
    if (other == needs.kernel_isa || ids.size() <= most) continue;
    most = ids.size();
    isa = other;
  }
  return static_cast<int>(most);
}

bool HasWafer(const NodeTable& table, const MemberNeeds& needs) {
  return std::any_of(table.nodes().begin(), table.nodes().end(), [&](const auto& entry) {
    const KnownNode& node = entry.second;
    return node.info.role() == WAFER && !node.lost && KernelsOf(node, needs) == needs.kernel_isa;
  });
}

// Why wafers that there are, of the kind `other`, do not do.
absl::Status Refuse(const MemberNeeds& needs, const std::string& other) {
  if (needs.kernel_isa == kPortableKernels) {
    return absl::FailedPreconditionError(
        absl::StrCat(kPortableNeeds, "; the wafer nodes here compute with ", other));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "kernel_isa: the job was computed with ", needs.kernel_isa,
      ", and the wafer nodes here compute with ", other,
      "; `--accept kernel_isa` of run and submit goes on from a checkpoint with those"));
}

struct Bounds {
  int least;
  int most;
};

Bounds BoundsOf(Role role, const MemberNeeds& needs) {
  const ClusterSpec& cluster = *needs.cluster;
  const int most = static_cast<int>(role == WAFER     ? cluster.wafers()
                                    : role == MEMORYX ? cluster.memoryx()
                                                      : cluster.swarmx());
  const bool bounded = role == WAFER && cluster.wafers_min() > 0;
  const int least = bounded ? LeastWafers(cluster) : (needs.begun ? 1 : most);
  if (role != WAFER || needs.wafers_most == 0) return {least, most};
  return {least, std::clamp(needs.wafers_most, least, most)};
}

// Appends "2 more wafer nodes" when there are not enough.
void Require(size_t there, int least, Role role, std::vector<std::string>& missing) {
  const int lacking = least - static_cast<int>(there);
  if (lacking <= 0) return;
  missing.push_back(
      absl::StrCat(lacking, " more ", RoleName(role), lacking == 1 ? " node" : " nodes"));
}

// Nodes that the job could have, if they did not compute otherwise. The job computes like its
// controller.
std::string OfOtherNumerics(const MemberNeeds& needs, const NodeTable& table) {
  std::vector<const RegisterRequest*> there;
  for (const auto& [id, node] : table.nodes()) {
    const bool may = node.free() || (IsMember(node, needs) && !node.leaves());
    if (may && !ComputesLike(node, needs)) there.push_back(&node.info);
  }
  if (there.empty()) return "";
  const RegisterRequest& first = *there[0];
  const uint32_t numerics = NumericsSaid(first.numerics());
  return absl::StrCat(" (", first.node_id(), " of version ", first.build(),
                      there.size() > 1 ? absl::StrCat(" and ", there.size() - 1, " more") : "",
                      " has numerics ", numerics, ", the job ", needs.numerics, ": upgrade ",
                      numerics > needs.numerics ? "the controller" : "the nodes", " too)");
}

absl::Status WaitingFor(const std::vector<std::string>& missing, const std::string& why,
                        const std::string& others) {
  return absl::UnavailableError(
      absl::StrCat("waiting for ", absl::StrJoin(missing, " and "), why, others));
}

// What is to be said where there are wafers of several kinds, and too few that do.
std::string WhyNotTheOthers(const MemberNeeds& needs) {
  if (needs.kernel_isa == kPortableKernels) return absl::StrCat(" (", kPortableNeeds, ")");
  return " (all wafers of a job need the same kernel_isa)";
}

void Take(const Ids& from, size_t most, Role role, std::vector<PlacedProcess>& placed) {
  for (size_t i = 0; i < std::min(from.size(), most); ++i) {
    placed.push_back({role, static_cast<int>(i), from[i]});
  }
}

// Who holds what, among the candidates. Nodes that should leave come last among the holders of a
// shard, and are named only when they are the only one.
class ShardDealer {
 public:
  ShardDealer(const MemberNeeds& needs, const NodeTable& nodes, const Ids& candidates)
      : needs_(needs), shards_(needs.cluster->memoryx()) {
    for (const std::string& id : candidates) {
      const KnownNode& node = nodes.nodes().at(id);
      if (HoldsShards(node, needs)) {
        holders_.push_back({id, node.info.incarnation(), ShouldLeave(node, needs)});
      } else if (!ShouldLeave(node, needs)) {
        others_.push_back(id);
      }
    }
    std::stable_sort(holders_.begin(), holders_.end(),
                     [](const Holder& a, const Holder& b) { return a.leaves < b.leaves; });
  }

  // Shards that nobody here holds.
  std::vector<int> Uncovered() const {
    std::vector<int> uncovered;
    for (int s = 0; s < shards_; ++s) {
      if (HoldersOf(s).empty()) uncovered.push_back(s);
    }
    return uncovered;
  }

  // With the holders as owners, and copies to fill where there are too few. None uncovered.
  Membership Keep() {
    for (int s = 0; s < shards_; ++s) {
      const std::vector<const Holder*> holders = HoldersOf(s);
      for (const Holder* holder : holders) {
        if (holder->leaves && holder != holders.front()) continue;
        owners_[s].push_back(holder->id);
      }
    }
    Ids stay;
    size_t lasting = 0;  // a node that leaves keeps nobody out
    for (const Holder& holder : holders_) {
      if (!IsOwner(holder.id)) continue;
      stay.push_back(holder.id);
      lasting += !holder.leaves;
    }
    for (const std::string& id : others_) {
      if (lasting >= needs_.cluster->memoryx()) break;
      stay.push_back(id);
      ++lasting;
    }
    Membership next;
    next.keep = true;
    Take(stay, stay.size(), MEMORYX, next.placed);
    next.shape.memoryx = static_cast<int>(stay.size());
    next.shape.shards = Fill(stay);
    return next;
  }

  // With everything loaded anew, dealt out evenly.
  Membership Load() const {
    Ids all;
    for (const Holder& holder : holders_) {
      if (!holder.leaves) all.push_back(holder.id);
    }
    all.insert(all.end(), others_.begin(), others_.end());
    if (all.size() > needs_.cluster->memoryx()) all.resize(needs_.cluster->memoryx());
    Membership next;
    Take(all, all.size(), MEMORYX, next.placed);
    next.shape.memoryx = static_cast<int>(all.size());
    const int processes = next.shape.memoryx;
    next.shape.shards.resize(shards_);
    for (int s = 0; s < shards_ && processes > 0; ++s) {
      for (int r = 0; r < std::min(replicas(), processes); ++r) {
        next.shape.shards[s].owners.push_back((s + r) % processes);
      }
    }
    return next;
  }

 private:
  struct Holder {
    std::string id;
    uint64_t incarnation;
    bool leaves;
  };

  int replicas() const {
    return needs_.trains ? std::max(1, static_cast<int>(needs_.cluster->replicas())) : 1;
  }

  std::vector<const Holder*> HoldersOf(int shard) const {
    std::vector<const Holder*> found;
    for (const Holder& holder : holders_) {
      if (needs_.holdings->Holds(holder.id, holder.incarnation, shard)) found.push_back(&holder);
    }
    return found;
  }

  bool IsOwner(const std::string& id) const {
    for (const auto& [shard, ids] : owners_) {
      if (std::find(ids.begin(), ids.end(), id) != ids.end()) return true;
    }
    return false;
  }

  bool Leaves(const std::string& id) const {
    for (const Holder& holder : holders_) {
      if (holder.id == id) return holder.leaves;
    }
    return false;
  }

  // Process indices in `stay`. Primaries are spread: a shard is streamed by the owner that streams
  // the fewest; copies go to the process that has the fewest shards.
  std::vector<ShardHolders> Fill(const Ids& stay) const {
    const auto index = [&](const std::string& id) {
      return static_cast<int>(std::find(stay.begin(), stay.end(), id) - stay.begin());
    };
    std::vector<int> streams(stay.size(), 0), load(stay.size(), 0);
    std::vector<ShardHolders> shards(shards_);
    for (int s = 0; s < shards_; ++s) {
      for (const std::string& id : owners_.at(s)) {
        shards[s].owners.push_back(index(id));
        ++load[index(id)];
      }
      auto& owners = shards[s].owners;
      std::iter_swap(owners.begin(),
                     std::min_element(owners.begin(), owners.end(),
                                      [&](int a, int b) { return streams[a] < streams[b]; }));
      ++streams[owners.front()];
    }
    for (int s = 0; s < shards_; ++s) AddCopies(stay, s, shards[s], load);
    return shards;
  }

  // Who has begun goes on; otherwise whoever has least.
  std::pair<bool, int> Costs(const Ids& stay, int shard, int process,
                             const std::vector<int>& load) const {
    const bool begun = needs_.fills != nullptr && needs_.fills->Fills(stay[process], shard);
    return {!begun, load[process]};
  }

  void AddCopies(const Ids& stay, int shard_index, ShardHolders& shard,
                 std::vector<int>& load) const {
    // The copy of a node that leaves does not count.
    int copies = 0;
    for (const int owner : shard.owners) copies += !Leaves(stay[owner]);
    for (; copies < replicas(); ++copies) {
      int best = -1;
      for (int p = 0; p < static_cast<int>(stay.size()); ++p) {
        const bool has =
            std::find(shard.owners.begin(), shard.owners.end(), p) != shard.owners.end() ||
            std::find(shard.filling.begin(), shard.filling.end(), p) != shard.filling.end();
        if (has || Leaves(stay[p])) continue;
        if (best < 0 || Costs(stay, shard_index, p, load) < Costs(stay, shard_index, best, load)) {
          best = p;
        }
      }
      if (best < 0) return;
      shard.filling.push_back(best);
      ++load[best];
    }
  }

  const MemberNeeds& needs_;
  const int shards_;
  std::vector<Holder> holders_;
  Ids others_;
  std::map<int, Ids> owners_;  // by shard
};

absl::StatusOr<Membership> PlaceMemoryX(const MemberNeeds& needs, const NodeTable& nodes,
                                        const Ids& candidates) {
  ShardDealer dealer(needs, nodes, candidates);
  const std::vector<int> uncovered = dealer.Uncovered();
  if (uncovered.empty()) return dealer.Keep();
  if (needs.may_load) return dealer.Load();
  std::vector<std::string> awaited;
  for (const int shard : uncovered) {
    const Ids holders = needs.holdings->HoldersOf(shard);
    if (holders.empty()) return dealer.Load();  // waiting would be of no use
    awaited.push_back(absl::StrCat(absl::StrJoin(holders, " or "), " with shard ", shard));
  }
  WS_MARK("controller: waited for a node that holds a shard");
  return absl::UnavailableError(absl::StrCat("waiting for ", absl::StrJoin(awaited, ", ")));
}

absl::StatusOr<Membership> Choose(const MemberNeeds& needs, const NodeTable& nodes) {
  Candidates candidates;
  for (const Source source :
       {Source::kMembers, Source::kFree, Source::kReleased, Source::kYielded}) {
    Collect(needs, nodes, source, candidates);
  }
  const Ids& wafers = WafersOfOneIsa(needs, candidates);
  ASSIGN_OR_RETURN(Membership next, PlaceMemoryX(needs, nodes, candidates.memoryx));

  const Bounds swarmx = BoundsOf(SWARMX, needs), of_wafers = BoundsOf(WAFER, needs);
  std::vector<std::string> missing;
  Require(next.placed.size(), BoundsOf(MEMORYX, needs).least, MEMORYX, missing);
  Require(candidates.swarmx.size(), swarmx.least, SWARMX, missing);
  Require(wafers.size(), of_wafers.least, WAFER, missing);
  std::string other;
  if (!needs.kernel_isa.empty() && static_cast<int>(wafers.size()) < of_wafers.least &&
      Unlike(needs, candidates, other) >= of_wafers.least && (needs.may_load || !needs.begun) &&
      !HasWafer(nodes, needs)) {
    return Refuse(needs, other);
  }
  if (!missing.empty()) {
    const size_t kinds_taken = wafers.empty() ? 0 : 1;
    const bool mixed =
        candidates.wafers.size() > kinds_taken && static_cast<int>(wafers.size()) < of_wafers.least;
    return WaitingFor(missing, mixed ? WhyNotTheOthers(needs) : "", OfOtherNumerics(needs, nodes));
  }
  Take(candidates.swarmx, swarmx.most, SWARMX, next.placed);
  next.shape.swarmx = std::min<int>(candidates.swarmx.size(), swarmx.most);
  Ids chosen(wafers.begin(), wafers.begin() + std::min<size_t>(wafers.size(), of_wafers.most));
  if (chosen.size() > 1) {
    std::rotate(chosen.begin(), chosen.begin() + needs.rotation % chosen.size(), chosen.end());
  }
  Take(chosen, chosen.size(), WAFER, next.placed);
  next.shape.wafers = static_cast<int>(chosen.size());
  return next;
}

}  // namespace

absl::StatusOr<Membership> ChooseMembers(const MemberNeeds& needs, const NodeTable& nodes) {
  absl::StatusOr<Membership> next = Choose(needs, nodes);
  if (next.ok() || needs.excluded.empty()) return next;
  MemberNeeds with_all = needs;
  with_all.excluded.clear();
  return Choose(with_all, nodes);
}

int LeastWafers(const ClusterSpec& cluster) {
  return static_cast<int>(cluster.wafers_min() > 0 ? cluster.wafers_min() : cluster.wafers());
}

std::set<std::string> NodesOf(const Membership& members) {
  std::set<std::string> ids;
  for (const PlacedProcess& process : members.placed) ids.insert(process.node_id);
  return ids;
}

bool CanDoWithout(const KnownNode& node, const MemberNeeds& needs, const NodeTable& nodes) {
  if (node.info.role() != MEMORYX) return true;
  const auto holds = [&](const KnownNode& holder, int shard) {
    return needs.holdings->Holds(holder.info.node_id(), holder.info.incarnation(), shard);
  };
  for (int shard = 0; shard < static_cast<int>(needs.cluster->memoryx()); ++shard) {
    if (!holds(node, shard)) continue;
    const bool elsewhere = std::any_of(nodes.nodes().begin(), nodes.nodes().end(), [&](auto& at) {
      const KnownNode& other = at.second;
      return &other != &node && IsMember(other, needs) && !ShouldLeave(other, needs) &&
             holds(other, shard);
    });
    if (!elsewhere) return false;
  }
  return true;
}

bool IsBetter(const Membership& next, const Membership& now) {
  const auto copies = [](const Membership& members) {
    size_t count = 0;
    for (const ShardHolders& shard : members.shape.shards) {
      count += shard.owners.size() + shard.filling.size();
    }
    return count;
  };
  return NodesOf(next) != NodesOf(now) || copies(next) > copies(now);
}

}  // namespace waferstream
