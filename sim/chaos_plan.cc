#include "sim/chaos_plan.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "plan/plan.h"
#include "sim/chaos_jobs.h"
#include "sim/dice.h"

namespace waferstream {
namespace {

constexpr int64_t kMs = 1'000'000;

Pace DrawPace(Dice& dice) {
  Pace pace;
  pace.frame_ns = dice.Pick<int64_t>({kMs / 50, kMs / 5, kMs});
  pace.work_ns = dice.Pick<int64_t>({kMs / 50, kMs / 5, kMs});
  pace.disk_ns = dice.Pick<int64_t>({kMs / 10, 2 * kMs, 20 * kMs});
  pace.lease_ns = dice.Between(100, 600) * kMs;
  // A late answer must not end a lease by itself: even the longest delay leaves room for a
  // heartbeat.
  pace.call_ns = pace.lease_ns / dice.Pick<int64_t>({200, 1000, 5000});
  pace.heartbeat_ns = pace.lease_ns / dice.Between(3, 6) / kMs * kMs;
  pace.keepalive_ns = pace.lease_ns * dice.Between(1, 3);
  pace.call_timeout_ns = pace.lease_ns * dice.Between(1, 5);
  pace.slow_call_timeout_ns = pace.lease_ns * dice.Between(10, 40);
  pace.connect_timeout_ns = pace.lease_ns * dice.Between(1, 5);
  pace.retry_ns = pace.lease_ns / dice.Between(5, 30);
  pace.patience_ns = pace.lease_ns * dice.Between(10, 40);
  return pace;
}

Weather DrawWeather(Dice& dice) {
  const auto maybe = [&](double most) {
    return dice.Coin() ? 0.0 : most * dice.Below(1000) / 1000.0;
  };
  return {.call_lost = maybe(0.05),
          .call_twice = maybe(0.05),
          .write_fails = maybe(0.02),
          .work_slow = maybe(0.05)};
}

// What the numbers do not depend on.
void DrawCluster(Dice& dice, ChaosPlan& plan) {
  ClusterSpec* cluster = plan.job.mutable_cluster();
  cluster->set_wafers(dice.Between(1, 4));
  cluster->set_wafers_min(dice.Between(0, cluster->wafers()));
  cluster->set_memoryx(dice.Between(1, 3));
  cluster->set_replicas(dice.Between(1, std::min<int>(2, cluster->memoryx())));
  cluster->set_swarmx(dice.Between(1, 2));
  cluster->set_fanout(dice.Between(2, 4));
  cluster->set_planes(dice.Between(1, 2));
  plan.wafer_nodes = cluster->wafers() + dice.Between(0, 2);
  plan.memoryx_nodes = cluster->memoryx() + dice.Between(0, 1);
  plan.swarmx_nodes = cluster->swarmx() + dice.Between(0, 1);
  plan.same_ports = dice.Coin();
}

// From one wave to many.
void DrawSram(Dice& dice, JobSpec& job) {
  uint64_t bytes = uint64_t{16} << (10 + dice.Below(6));
  for (;; bytes += bytes / 4) {
    job.mutable_cluster()->mutable_wafer()->set_sram_bytes(bytes);
    if (Compile(job, RequestedShape(job)).ok()) return;
    WS_CHECK(bytes < (1 << 24));
  }
}

void DrawJob(Dice& dice, ChaosPlan& plan) {
  plan.variant = dice.Below(kChaosJobs);
  plan.job = ChaosJob(plan.variant);
  DrawCluster(dice, plan);
  TrainingSpec* training = plan.job.mutable_training();
  training->set_recompute(
      dice.Pick<Recompute>({RECOMPUTE_AUTO, RECOMPUTE_NONE, RECOMPUTE_SELECTIVE, RECOMPUTE_FULL}));
  training->set_verify(dice.Pick<double>({0, 0, 0.3, 1}));
  plan.job.mutable_checkpoint()->set_every(dice.Between(0, 3));
  plan.job.mutable_checkpoint()->set_keep(dice.Between(1, 3));
  DrawSram(dice, plan.job);
}

void MaybeDrawWorkload(Dice& dice, FaultKind kind, ChaosPlan& plan) {
  if (!dice.Chance(0.25)) return;
  const double pause_leases = 0.5 + dice.Below(1000) / 150.0;
  plan.workloads.push_back(
      {kind, static_cast<int64_t>(pause_leases * static_cast<double>(plan.pace.lease_ns))});
}

// Some of the workloads, each at its own pace. What came later is drawn last, so that it changes
// only the seeds that have it.
void DrawWorkloads(Dice& dice, ChaosPlan& plan) {
  for (int kind = 0; kind <= static_cast<int>(FaultKind::kDrainNode); ++kind) {
    MaybeDrawWorkload(dice, static_cast<FaultKind>(kind), plan);
  }
  plan.faults_end_ns = plan.pace.lease_ns * dice.Between(2, 20);
  MaybeDrawWorkload(dice, FaultKind::kStallChannel, plan);
  plan.pace.store_patience_ns = plan.pace.lease_ns * dice.Pick<int64_t>({1, 4, 100});
}

}  // namespace

const char* Name(FaultKind kind) {
  constexpr const char* kNames[] = {
      "kill",        "kill two",  "kill for good", "freeze",          "isolate",
      "cut channel", "blackhole", "corrupt frame", "kill controller", "freeze controller",
      "spoil disk",  "join",      "drain",         "stall channel"};
  static_assert(std::size(kNames) == static_cast<size_t>(FaultKind::kKinds));
  return kNames[static_cast<int>(kind)];
}

ChaosPlan MakeChaosPlan(uint64_t seed, bool with_faults) {
  Dice dice(seed, DiceStream::kPlan);
  ChaosPlan plan;
  plan.seed = seed;
  plan.pace = DrawPace(dice);
  plan.weather = DrawWeather(dice);
  DrawJob(dice, plan);
  DrawWorkloads(dice, plan);
  if (!with_faults) {
    plan.weather = {};
    plan.workloads.clear();
    plan.faults_end_ns = 0;
  }
  plan.deadline_ns = plan.faults_end_ns + 1000 * plan.pace.lease_ns;
  return plan;
}

std::string Describe(const ChaosPlan& plan) {
  const ClusterSpec& cluster = plan.job.cluster();
  std::string line = absl::StrCat(
      "seed ", plan.seed, ": job ", plan.variant, ", ", plan.job.training().steps(), " steps, ",
      cluster.wafers(), " of ", plan.wafer_nodes, " wafers (min ", cluster.wafers_min(), "), ",
      cluster.memoryx(), " of ", plan.memoryx_nodes, " MemoryX x", cluster.replicas(), ", ",
      cluster.swarmx(), " of ", plan.swarmx_nodes, " SwarmX, planes ", cluster.planes(),
      ", verify ", plan.job.training().verify(), ", checkpoint every ",
      plan.job.checkpoint().every(), ", lease ", plan.pace.lease_ns / kMs, " ms, faults until ",
      plan.faults_end_ns / kMs, " ms:");
  for (const FaultWorkload& workload : plan.workloads) {
    absl::StrAppend(&line, " ", Name(workload.kind), ",");
  }
  line.pop_back();
  return line;
}

}  // namespace waferstream
