#include "sim/fault_injector.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/philox.h"

namespace waferstream {
namespace {

constexpr double kSilentDeaths = 0.3;           // the machine goes, and its peers hear nothing
constexpr uint32_t kUnreliableOnceIn = 10;      // operations
constexpr uint32_t kWrittenBeforeFailure = 64;  // bytes, at most
constexpr int kShortWhile = 1, kLongWhile = 4;  // leases
constexpr int kGraceMost = 30;                  // leases

}  // namespace

// Every job must be able to run on what is left.
FaultInjector::FaultInjector(SimWorld& world, const ChaosPlan& plan, SimCluster& cluster)
    : world_(world), plan_(plan), cluster_(cluster), dice_(plan.seed, DiceStream::kFault) {
  int wafers = 0, memoryx = 0, swarmx = 0;
  for (const ChaosJobPlan& job : plan.jobs) {
    const ClusterSpec& asked = job.spec.cluster();
    const uint32_t least = asked.wafers_min() == 0 ? asked.wafers() : asked.wafers_min();
    wafers = std::max(wafers, static_cast<int>(least));
    memoryx = std::max(memoryx, static_cast<int>(asked.memoryx()));
    swarmx = std::max(swarmx, static_cast<int>(asked.swarmx()));
  }
  wafers += plan.flip.where == ChaosFlip::Where::kWafer;  // which is left out
  spares_[WAFER] = plan.wafer_nodes - wafers;
  spares_[MEMORYX] = plan.memoryx_nodes - memoryx;
  spares_[SWARMX] = plan.swarmx_nodes - swarmx;
}

void FaultInjector::Begin() {
  cluster_.disk_faults = [this](DiskOp op, const std::string& path) { return OnDisk(op, path); };
  for (const FaultWorkload& workload : plan_.workloads) Schedule(workload);
  world_.queue.At(plan_.faults_end_ns, [this] {
    world_.faults_on = false;
    disk_ = DiskState::kGood;
    world_.Note("-", "the faults end");
  });
}

void FaultInjector::Schedule(const FaultWorkload& workload) {
  world_.queue.After(dice_.UpTo(2 * workload.mean_pause_ns), [this, workload] {
    if (!world_.faults_on) return;
    Strike(workload.kind);
    Schedule(workload);
  });
}

void FaultInjector::Strike(FaultKind kind) {
  switch (kind) {
    case FaultKind::kKillNode:
      return KillNode(false);
    case FaultKind::kKillTwo:
      KillNode(false);
      return KillNode(false);
    case FaultKind::kKillForGood:
      return KillNode(true);
    case FaultKind::kFreezeNode:
      return FreezeNode();
    case FaultKind::kIsolateNode:
      return IsolateNode();
    case FaultKind::kCutChannel:
    case FaultKind::kBlackholeChannel:
    case FaultKind::kCorruptFrame:
    case FaultKind::kStallChannel:
      return BreakChannel(kind);
    case FaultKind::kKillController:
      return KillController();
    case FaultKind::kFreezeController:
      return FreezeController();
    case FaultKind::kSpoilDisk:
      return SpoilDisk();
    case FaultKind::kJoinNode:
      return JoinNode();
    case FaultKind::kDrainNode:
      return DrainNode();
    case FaultKind::kHangNode:
      return HangNode();
    case FaultKind::kHangController:
      return HangController();
    case FaultKind::kStopNode:
      return StopNode();
    case FaultKind::kKinds:
      break;
  }
}

int64_t FaultInjector::AWhile() {
  return dice_.UpTo(plan_.pace.lease_ns * (dice_.Coin() ? kShortWhile : kLongWhile));
}

SimNode* FaultInjector::PickNode() {
  std::vector<SimNode*> candidates;
  for (const auto& node : cluster_.nodes()) {
    if (node->process().alive() && !node->process().frozen()) candidates.push_back(node.get());
  }
  return candidates.empty() ? nullptr : dice_.Pick(candidates);
}

void FaultInjector::KillNode(bool for_good) {
  SimNode* const node = PickNode();
  if (node == nullptr || (for_good && spares_[node->role()] <= 0)) return;
  if (for_good) --spares_[node->role()];
  const bool silently = dice_.Chance(kSilentDeaths);
  world_.NoteFault(for_good ? "kill for good" : absl::StrCat("kill ", RoleName(node->role())),
                   node->id(), silently ? "silently" : "");
  node->Kill(silently);
  if (!for_good) world_.queue.After(AWhile(), [node] { node->Boot(); });
}

void FaultInjector::FreezeNode() {
  SimNode* const node = PickNode();
  if (node == nullptr) return;
  const int64_t for_ns = AWhile();
  world_.NoteFault("freeze", node->id(), "for ", for_ns / 1'000'000, " ms");
  node->process().Freeze(for_ns);
}

// Whoever supervises a process ends it when it has not answered for long enough.
void FaultInjector::HangNode() {
  SimNode* const node = PickNode();
  if (node == nullptr) return;
  world_.NoteFault("hang", node->id());
  node->process().Freeze(plan_.deadline_ns);
  const int64_t noticed_ns = AWhile() + plan_.pace.lease_ns;
  world_.queue.After(noticed_ns, [node] {
    node->Kill(false);
    node->Boot();
  });
}

void FaultInjector::IsolateNode() {
  SimNode* const node = PickNode();
  if (node == nullptr) return;
  const int64_t for_ns = AWhile();
  world_.NoteFault("isolate", node->id(), "for ", for_ns / 1'000'000, " ms");
  node->process().Isolate(for_ns);
}

void FaultInjector::BreakChannel(FaultKind kind) {
  const auto connections = cluster_.fabric().Connections();
  if (connections.empty()) return;
  SimConnection& connection = *dice_.Pick(connections);
  const bool downwards = dice_.Coin();
  if (kind == FaultKind::kCorruptFrame && !connection.busy(downwards)) return;
  world_.NoteFault(Name(kind), "-", connection.name());
  if (kind == FaultKind::kCutChannel) return connection.Cut();
  if (kind == FaultKind::kBlackholeChannel) return connection.Blackhole();
  if (kind == FaultKind::kStallChannel) return connection.Stall(downwards);
  connection.Corrupt(downwards, dice_.Bits());
}

void FaultInjector::KillController() {
  SimControllerHost& controller = cluster_.controller();
  if (!controller.answers()) return;  // a frozen one's end is its supervisor's
  const int64_t for_ns = AWhile();
  if (dice_.Coin()) return controller.EndMachineAtCommit(for_ns);
  world_.NoteFault("kill controller", "controller");
  controller.Kill();
  world_.queue.After(for_ns, [&controller] { controller.Boot(); });
}

void FaultInjector::FreezeController() {
  SimProcess& process = cluster_.controller().process();
  if (!cluster_.controller().answers()) return;
  const int64_t for_ns = AWhile();
  world_.NoteFault("freeze controller", "controller", "for ", for_ns / 1'000'000, " ms");
  process.Freeze(for_ns);
}

void FaultInjector::HangController() {
  SimControllerHost& controller = cluster_.controller();
  if (!controller.answers()) return;
  world_.NoteFault("hang controller", "controller");
  controller.process().Freeze(plan_.deadline_ns);
  world_.queue.After(AWhile() + plan_.pace.lease_ns, [&controller] {
    controller.Kill();
    controller.Boot();
  });
}

void FaultInjector::SpoilDisk() {
  disk_ = dice_.Pick<DiskState>({DiskState::kFull, DiskState::kReadOnly, DiskState::kUnreliable});
  const char* const kNames[] = {"good", "full", "read-only", "unreliable"};
  world_.NoteFault("spoil disk", "disk", kNames[static_cast<int>(disk_)]);
  world_.queue.After(AWhile(), [this] {
    disk_ = DiskState::kGood;
    world_.Note("disk", "good again");
  });
}

// Without a stream of draws: a role may read on several threads, whose order must not matter.
DiskFault FaultInjector::OnDisk(DiskOp op, const std::string& path) const {
  const bool changes = op != DiskOp::kRead && op != DiskOp::kList;
  const bool grows = op == DiskOp::kWrite || op == DiskOp::kResize || op == DiskOp::kCreateFolder;
  const auto bits = Philox(plan_.seed, Purpose::kFault, static_cast<uint64_t>(world_.now_ns()),
                           Hash64(path.data(), path.size()) + static_cast<uint64_t>(op));
  const size_t written_bytes = bits[0] % kWrittenBeforeFailure;
  if (disk_ == DiskState::kFull && grows) {
    return {absl::ResourceExhaustedError("no space left"), written_bytes};
  }
  if (disk_ == DiskState::kReadOnly && changes && op != DiskOp::kOpen) {
    return {absl::FailedPreconditionError("read-only file system"), 0};
  }
  if (disk_ == DiskState::kUnreliable && bits[1] % kUnreliableOnceIn == 0) {
    return {absl::UnavailableError("input/output error"), written_bytes};
  }
  return {};
}

void FaultInjector::JoinNode() {
  if (joins_left_ == 0) return;
  --joins_left_;
  const Role role = dice_.Pick<Role>({MEMORYX, SWARMX, WAFER});
  SimNode& node = cluster_.AddNode(role);
  ++spares_[role];
  world_.NoteFault("join", node.id());
}

void FaultInjector::DrainNode() {
  SimNode* const node = PickNode();
  SimControllerHost& controller = cluster_.controller();
  if (node == nullptr || !controller.answers()) return;
  const auto action = dice_.Coin() ? CordonRequest::CORDON : CordonRequest::DRAIN;
  world_.NoteFault(Name(FaultKind::kDrainNode), node->id());
  controller.Cordon(node->id(), action, [](const absl::Status&) {});
  world_.queue.After(AWhile(), [this, node] { Uncordon(*node); });
}

void FaultInjector::StopNode() {
  SimNode* const node = PickNode();
  if (node == nullptr) return;
  const int64_t grace_ns = dice_.UpTo(kGraceMost * plan_.pace.lease_ns), away_ns = AWhile();
  world_.NoteFault("stop", node->id(), "within ", grace_ns / 1'000'000, " ms");
  node->Stop(grace_ns,
             [this, node, away_ns] { world_.queue.After(away_ns, [node] { node->Boot(); }); });
}

// Asks until it is answered that it is so; of a node that has gone for good, to the end.
void FaultInjector::Uncordon(const SimNode& node) {
  SimControllerHost& controller = cluster_.controller();
  auto done = std::make_shared<bool>(false);
  if (controller.answers()) {
    controller.Cordon(node.id(), CordonRequest::UNCORDON,
                      [done](const absl::Status& status) { *done = status.ok(); });
  }
  world_.queue.After(plan_.pace.lease_ns, [this, &node, done] {
    if (!*done) Uncordon(node);
  });
}

}  // namespace waferstream
