#include "sim/chaos_plan.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "plan/family_names.h"
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
void DrawCluster(Dice& dice, ClusterSpec* cluster) {
  cluster->set_wafers(dice.Between(1, 4));
  cluster->set_wafers_min(dice.Between(0, cluster->wafers()));
  cluster->set_memoryx(dice.Between(1, 3));
  cluster->set_replicas(dice.Between(1, std::min<int>(2, cluster->memoryx())));
  cluster->set_swarmx(dice.Between(1, 2));
  cluster->set_fanout(dice.Between(2, 4));
  cluster->set_planes(dice.Between(1, 2));
}

void DrawNodes(Dice& dice, const ClusterSpec& cluster, ChaosPlan& plan) {
  plan.wafer_nodes = static_cast<int>(cluster.wafers()) + dice.Between(0, 2);
  plan.memoryx_nodes = static_cast<int>(cluster.memoryx()) + dice.Between(0, 1);
  plan.swarmx_nodes = static_cast<int>(cluster.swarmx()) + dice.Between(0, 1);
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

// How the job is trained, of what its numbers do not depend on either.
void DrawTraining(Dice& dice, JobSpec& job) {
  TrainingSpec* training = job.mutable_training();
  training->set_recompute(
      dice.Pick<Recompute>({RECOMPUTE_AUTO, RECOMPUTE_NONE, RECOMPUTE_SELECTIVE, RECOMPUTE_FULL}));
  training->set_verify(dice.Pick<double>({0, 0, 0.3, 1}));
  job.mutable_checkpoint()->set_every(dice.Between(0, 3));
  job.mutable_checkpoint()->set_keep(dice.Between(1, 3));
  DrawSram(dice, job);
}

// Of any family; which one has its own stream, so that one more changes nothing else of a plan.
// Half are of the first: what seeds found when there was no other is found by them again.
int DrawVariant(Dice& dice, Dice& families) {
  const int all = static_cast<int>(FamilyNames().size());
  const int family = families.Chance(0.5) ? 0 : families.Below(all);
  return family * kChaosJobs + dice.Below(kChaosJobs);
}

void DrawFirstJob(Dice& dice, Dice& families, ChaosPlan& plan) {
  ChaosJobPlan job;
  job.variant = DrawVariant(dice, families);
  job.spec = ChaosJob(job.variant);
  DrawCluster(dice, job.spec.mutable_cluster());
  DrawNodes(dice, job.spec.cluster(), plan);
  DrawTraining(dice, job.spec);
  plan.jobs.push_back(std::move(job));
}

// Jobs beside the first: they run at the same time if there are nodes for them, or wait.
void DrawOtherJobs(Dice& dice, Dice& families, ChaosPlan& plan) {
  while (plan.jobs.size() < 3 && dice.Chance(0.25)) {
    ChaosJobPlan job;
    const bool generates = dice.Chance(0.3);
    job.variant = generates ? plan.jobs[0].variant : DrawVariant(dice, families);
    job.spec = generates ? ChaosGeneration(job.variant) : ChaosJob(job.variant);
    DrawCluster(dice, job.spec.mutable_cluster());
    DrawTraining(dice, job.spec);
    const bool has_room = dice.Coin();
    const ClusterSpec& cluster = job.spec.cluster();
    const auto make_room = [&](uint32_t wanted, int& nodes) {
      nodes =
          has_room ? nodes + static_cast<int>(wanted) : std::max(nodes, static_cast<int>(wanted));
    };
    make_room(cluster.wafers(), plan.wafer_nodes);
    make_room(cluster.memoryx(), plan.memoryx_nodes);
    make_room(cluster.swarmx(), plan.swarmx_nodes);
    job.submitted_ns = dice.UpTo(plan.faults_end_ns);
    plan.jobs.push_back(std::move(job));
  }
}

void DrawUsers(Dice& dice, ChaosPlan& plan) {
  for (ChaosJobPlan& job : plan.jobs) {
    if (dice.Chance(0.1)) {
      job.act = UserAct::kCancel;
      job.cancelled_ns = job.submitted_ns + dice.UpTo(plan.faults_end_ns);
    } else if (!job.spec.has_generate() && dice.Chance(0.3)) {
      job.act = UserAct::kAmend;
      // What cannot be recorded for long enough pauses a job.
      plan.weather.write_fails = 0.05;
      plan.pace.store_patience_ns = plan.pace.lease_ns / 4;
    }
  }
}

void MaybeDrawWorkload(Dice& dice, FaultKind kind, ChaosPlan& plan) {
  if (!dice.Chance(0.25)) return;
  const double pause_leases = 0.5 + dice.Below(1000) / 150.0;
  plan.workloads.push_back(
      {kind, static_cast<int64_t>(pause_leases * static_cast<double>(plan.pace.lease_ns))});
}

// Some of the workloads, each at its own pace. What came later is drawn last, and the latest after
// everything else (MakeChaosPlan), so that it changes only the seeds that have it.
void DrawWorkloads(Dice& dice, ChaosPlan& plan) {
  for (int kind = 0; kind <= static_cast<int>(FaultKind::kDrainNode); ++kind) {
    MaybeDrawWorkload(dice, static_cast<FaultKind>(kind), plan);
  }
  plan.faults_end_ns = plan.pace.lease_ns * dice.Between(2, 20);
  MaybeDrawWorkload(dice, FaultKind::kStallChannel, plan);
  plan.pace.store_patience_ns = plan.pace.lease_ns * dice.Pick<int64_t>({1, 4, 100});
  MaybeDrawWorkload(dice, FaultKind::kHangNode, plan);
  MaybeDrawWorkload(dice, FaultKind::kHangController, plan);
  plan.weather.link_slow = dice.Chance(0.25) ? 0.25 : 0;
}

FaultSpec DrawFaultSpec(Dice& dice, const JobSpec& job, FaultSpec::What what) {
  const Plan compiled = *Compile(job, RequestedShape(job));
  return {.role = "",
          .node_id = "",
          .what = what,
          .tile = dice.Below(static_cast<int>(compiled.tiles.size())),
          .step = dice.Bits() % job.training().steps(),
          .bit = dice.Bits()};
}

// Every micro-batch is checked if there are as many wafers as micro-batches, and a liar is only
// found out where two others can outvote it; it is left out then, so one more must be there.
void MakeVerifiable(const ChaosJobPlan& job, ClusterSpec* cluster, ChaosPlan& plan) {
  const TrainingSpec& training = job.spec.training();
  const uint32_t micro_batches =
      static_cast<uint32_t>(training.global_batch() / training.micro_batch());
  cluster->set_wafers(std::max<uint32_t>(3, micro_batches));
  cluster->set_wafers_min(cluster->wafers());
  plan.wafer_nodes = std::max(plan.wafer_nodes, static_cast<int>(cluster->wafers()) + 1);
}

void DrawFlip(Dice& dice, ChaosPlan& plan) {
  if (plan.jobs.size() > 1 || !dice.Chance(0.15)) return;
  ChaosJobPlan& job = plan.jobs[0];
  if (dice.Coin()) {
    plan.flip = {.where = ChaosFlip::Where::kMemoryx,
                 .node = dice.Below(plan.memoryx_nodes),
                 .what = DrawFaultSpec(dice, job.spec, FaultSpec::What::kDram)};
    return;
  }
  MakeVerifiable(job, job.spec.mutable_cluster(), plan);
  job.spec.mutable_training()->set_verify(1);
  DrawSram(dice, job.spec);
  const auto what = dice.Pick<FaultSpec::What>(
      {FaultSpec::What::kActivation, FaultSpec::What::kWeights, FaultSpec::What::kGradient});
  plan.flip = {.where = ChaosFlip::Where::kWafer,
               .node = dice.Below(plan.wafer_nodes),
               .what = DrawFaultSpec(dice, job.spec, what)};
}

}  // namespace

const char* Name(FaultKind kind) {
  constexpr const char* kNames[] = {"kill",
                                    "kill two",
                                    "kill for good",
                                    "freeze",
                                    "isolate",
                                    "cut channel",
                                    "blackhole",
                                    "corrupt frame",
                                    "kill controller",
                                    "freeze controller",
                                    "spoil disk",
                                    "join",
                                    "drain",
                                    "stall channel",
                                    "hang",
                                    "hang controller",
                                    "stop"};
  static_assert(std::size(kNames) == static_cast<size_t>(FaultKind::kKinds));
  return kNames[static_cast<int>(kind)];
}

ChaosPlan MakeChaosPlan(uint64_t seed, bool with_faults) {
  Dice dice(seed, DiceStream::kPlan), families(seed, DiceStream::kFamily);
  ChaosPlan plan;
  plan.seed = seed;
  plan.pace = DrawPace(dice);
  plan.weather = DrawWeather(dice);
  DrawFirstJob(dice, families, plan);
  DrawWorkloads(dice, plan);
  DrawOtherJobs(dice, families, plan);
  DrawUsers(dice, plan);
  DrawFlip(dice, plan);
  MaybeDrawWorkload(dice, FaultKind::kStopNode, plan);
  if (!with_faults) {
    plan.weather = {};
    plan.workloads.clear();
    plan.flip = {};
    plan.faults_end_ns = 0;
  }
  // Slow links only take longer.
  const int64_t leases = plan.weather.link_slow > 0 ? 20'000 : 1000;
  plan.deadline_ns = plan.faults_end_ns + leases * plan.pace.lease_ns;
  return plan;
}

namespace {

std::string Describe(const ChaosJobPlan& job) {
  const ClusterSpec& cluster = job.spec.cluster();
  std::string line = absl::StrCat(
      job.spec.has_generate() ? "generation " : "job ", job.variant, " of ",
      job.spec.model().family(), " at ", job.submitted_ns / kMs,
      " ms: ", job.spec.training().steps(), " steps, ", cluster.wafers(), " wafers (min ",
      cluster.wafers_min(), "), ", cluster.memoryx(), " MemoryX x", cluster.replicas(), ", ",
      cluster.swarmx(), " SwarmX, planes ", cluster.planes(), ", verify ",
      job.spec.training().verify(), ", checkpoint every ", job.spec.checkpoint().every());
  if (job.act == UserAct::kCancel) {
    absl::StrAppend(&line, ", cancelled at ", job.cancelled_ns / kMs, " ms");
  }
  if (job.act == UserAct::kAmend) absl::StrAppend(&line, ", amended when paused");
  return line;
}

std::string Describe(const ChaosFlip& flip) {
  if (flip.where == ChaosFlip::Where::kNowhere) return "";
  constexpr const char* kWhat[] = {"activation", "weights", "gradient", "dram"};
  return absl::StrCat(flip.where == ChaosFlip::Where::kWafer ? " wafer-" : " memoryx-", flip.node,
                      " flips a bit (", kWhat[static_cast<int>(flip.what.what)], ", tile ",
                      flip.what.tile, ", step ", flip.what.step, ", bit ", flip.what.bit, "),");
}

}  // namespace

std::string Describe(const ChaosPlan& plan) {
  std::string line = absl::StrCat("seed ", plan.seed, ": ");
  for (const ChaosJobPlan& job : plan.jobs) absl::StrAppend(&line, Describe(job), "; ");
  absl::StrAppend(&line, plan.wafer_nodes, " wafer nodes, ", plan.memoryx_nodes, " MemoryX, ",
                  plan.swarmx_nodes, " SwarmX; lease ", plan.pace.lease_ns / kMs,
                  " ms, faults until ", plan.faults_end_ns / kMs, " ms:");
  absl::StrAppend(&line, Describe(plan.flip));
  for (const FaultWorkload& workload : plan.workloads) {
    absl::StrAppend(&line, " ", Name(workload.kind), ",");
  }
  line.pop_back();
  return line;
}

}  // namespace waferstream
