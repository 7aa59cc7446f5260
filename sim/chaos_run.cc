#include "sim/chaos_run.h"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "memoryx/bit_flip.h"
#include "proto/job_state.h"
#include "sim/chaos_jobs.h"
#include "sim/fault_injector.h"
#include "sim/sim_cluster.h"
#include "wafer_node/bit_flips.h"

namespace waferstream {
namespace {

constexpr uint64_t kEventsMax = 20'000'000;  // of the queue; far beyond any run that ends

// Faults that a job may fail of, and the reason it then gives. Everything else, the loss of all
// copies of the weights included, it outlives: there is always a checkpoint, or the beginning.
struct AllowedFailure {
  FaultKind fault;
  const char* reason;
};
constexpr AllowedFailure kAllowed[] = {
    // At the first Prepare a folder that cannot be used is the user's to put right.
    {FaultKind::kSpoilDisk, "checkpoint.dir: "},
};

bool IsAllowed(const ChaosPlan& plan, const std::string& reason) {
  for (const AllowedFailure& allowed : kAllowed) {
    for (const FaultWorkload& workload : plan.workloads) {
      if (workload.kind == allowed.fault && absl::StrContains(reason, allowed.reason)) return true;
    }
  }
  return false;
}

// One job, and its user.
struct UserJob {
  const ChaosJobPlan& plan;
  std::string request_id;
  JobStatus status = {};  // on record, when last looked at
  int resumes = 0;
  bool cancelling = false;
  bool dropped = false;  // never submitted, for there is nothing to generate from

  bool ended() const { return dropped || IsFinal(status.state()); }
};

SimClusterSpec SpecOf(const ChaosPlan& plan) {
  SimClusterSpec spec = {.memoryx = plan.memoryx_nodes,
                         .swarmx = plan.swarmx_nodes,
                         .wafers = plan.wafer_nodes,
                         .same_ports = plan.same_ports,
                         .seed = plan.seed};
  const ChaosFlip& flip = plan.flip;
  if (flip.where == ChaosFlip::Where::kWafer) {
    spec.wafer_faults = [&flip](const std::string& node) -> std::unique_ptr<ComputeFaults> {
      if (node != absl::StrCat("wafer-", flip.node)) return nullptr;
      return std::make_unique<BitFlips>(flip.what);
    };
  }
  if (flip.where == ChaosFlip::Where::kMemoryx) {
    spec.memoryx_faults = [&flip](const std::string& node) -> std::unique_ptr<MemoryFaults> {
      if (node != absl::StrCat("memoryx-", flip.node)) return nullptr;
      return std::make_unique<BitFlip>(flip.what);
    };
  }
  return spec;
}

// What must hold (and where else it is looked at):
//   - every job ends, within the plan's deadline;
//   - it is DONE (or FAILED for a reason in kAllowed, or CANCELLED by its user), and its weights,
//     optimizer state, losses, validation and tokens are those of the fault-free run;
//   - every gradient counts once, and no bound is exceeded (epoch_audit.h, wire_contract.h);
//   - a commit is recorded once, or again with equal values (sim_controller_host.cc);
//   - after the end every node that lives is released and idle.
class Run {
 public:
  Run(const ChaosPlan& plan, std::ostream* out)
      : plan_(plan),
        world_(plan.seed, plan.pace, plan.weather, serial_, out),
        cluster_(world_, SpecOf(plan)),
        injector_(world_, plan, cluster_) {
    for (const ChaosJobPlan& job : plan.jobs) {
      jobs_.push_back({.plan = job, .request_id = absl::StrCat("job ", jobs_.size())});
    }
  }

  ChaosResult Execute() {
    WriteChaosData(cluster_.files());
    cluster_.Boot();
    injector_.Begin();
    for (UserJob& job : jobs_) Begin(job);
    Watch();
    uint64_t events = 0;
    while (!over_ && world_.violation.empty() && world_.queue.RunNext()) {
      if (++events > kEventsMax) world_.Violate("no end of events");
    }
    return Result();
  }

 private:
  // -- users -------------------------------------------------------------------------------------

  void Begin(UserJob& job) {
    world_.queue.At(job.plan.submitted_ns, [this, &job] {
      if (job.plan.spec.has_generate()) return AwaitTraining(job);
      Submit(job, job.plan.spec);
    });
    if (job.plan.act != UserAct::kCancel) return;
    world_.queue.At(job.plan.cancelled_ns, [this, &job] {
      job.cancelling = true;
      Cancel(job);
    });
  }

  // Somebody who wants to see what the first job has learned.
  void AwaitTraining(UserJob& job) {
    const JobStatus& trained = jobs_[0].status;
    if (!IsFinal(trained.state())) {
      return world_.queue.After(plan_.pace.lease_ns, [this, &job] { AwaitTraining(job); });
    }
    job.dropped = trained.state() != DONE;
    if (job.dropped) return;
    JobSpec spec = job.plan.spec;
    spec.mutable_checkpoint()->set_from(trained.checkpoint());
    Submit(job, spec);
  }

  // A client that asks until it is answered.
  void Submit(UserJob& job, const JobSpec& spec) {
    SimControllerHost& controller = cluster_.controller();
    if (controller.answers()) {
      controller.Submit(job.request_id, spec, [this](const auto& answer) {
        if (answer.ok() || absl::IsUnavailable(answer.status())) return;  // the disk refused it
        world_.Violate(std::string(answer.status().message()));
      });
    }
    world_.queue.After(plan_.pace.lease_ns, [this, &job, spec] {
      if (!cluster_.controller().OnRecord(job.request_id).has_value()) Submit(job, spec);
    });
  }

  // The same; of a job that is not there yet, once it is.
  void Cancel(UserJob& job) {
    if (job.ended()) return;
    SimControllerHost& controller = cluster_.controller();
    if (controller.answers() && !job.status.job_id().empty()) {
      controller.Cancel(job.status.job_id());
    }
    world_.queue.After(plan_.pace.lease_ns, [this, &job] { Cancel(job); });
  }

  // A user who has made room on the disk, or whatever the job waits for.
  void Resume(UserJob& job) {
    ++job.resumes;
    ResumeRequest request;
    request.set_job_id(job.status.job_id());
    request.set_request_id(absl::StrCat("resume ", job.resumes));
    if (job.plan.act == UserAct::kAmend) {
      request.set_lr(1e-3 * job.resumes);
      request.set_skip_batch(job.resumes % 2 == 0);
    }
    ++world_.faults[job.plan.act == UserAct::kAmend ? "(amended)" : "(resumed)"];
    cluster_.controller().Resume(request);
  }

  // Looks now and then whether everything is over.
  void Watch() {
    world_.queue.After(plan_.pace.lease_ns / 2, [this] {
      bool ended = true;
      int running = 0;
      for (UserJob& job : jobs_) {
        ended &= Look(job);
        running += job.status.state() == RUNNING;
      }
      seen_together_ |= running > 1;
      if (ended && world_.now_ns() > plan_.faults_end_ns && Released()) return Conclude();
      if (world_.now_ns() < plan_.deadline_ns) return Watch();
      if (ended) world_.Violate(absl::StrCat("not released: ", NotReleased()));
      for (const UserJob& job : jobs_) {
        if (job.ended()) continue;
        world_.Violate(absl::StrCat(job.request_id,
                                    " stands still: ", JobState_Name(job.status.state()), " after ",
                                    job.status.step(), " steps: ", job.status.reason()));
      }
    });
  }

  // Whether it has ended.
  bool Look(UserJob& job) {
    SimControllerHost& controller = cluster_.controller();
    if (const auto status = controller.OnRecord(job.request_id)) job.status = *status;
    if (job.status.job_id().empty()) return job.dropped;
    if (controller.answers() && controller.ShowsPaused(job.status.job_id())) Resume(job);
    return job.ended();
  }

  // -- the verdict -------------------------------------------------------------------------------

  bool Released() const { return NotReleased().empty(); }

  std::string NotReleased() const {
    std::string names;
    for (const auto& node : cluster_.nodes()) {
      if (!node->idle()) absl::StrAppend(&names, " ", node->id());
    }
    const NodeList table = cluster_.controller().Nodes();
    for (const NodeStatus& node : table.nodes()) {
      if (node.state() == BUSY) absl::StrAppend(&names, " ", node.node_id(), " (in the table)");
    }
    return names;
  }

  void Conclude() {
    over_ = true;
    if (seen_together_) ++world_.faults["(jobs at one time)"];
    for (const UserJob& job : jobs_) Judge(job);
  }

  void Judge(const UserJob& job) {
    const JobStatus& status = job.status;
    if (job.dropped) return;
    if (status.state() == FAILED && IsAllowed(plan_, status.reason())) return;
    if (status.state() == CANCELLED && job.cancelling) {
      ++world_.faults["(cancelled)"];
      return;
    }
    if (status.state() != DONE) {
      return world_.Violate(
          absl::StrCat(job.request_id, ": ", JobState_Name(status.state()), ": ", status.reason()));
    }
    if (job.plan.spec.has_generate()) ++world_.faults["(generated)"];
    const ChaosNumbers got = NumbersOf(status);
    const ChaosNumbers& expected =
        job.plan.spec.has_generate()
            ? ExpectedTokens(job.plan.variant, jobs_[0].status.job().training())
            : ExpectedNumbers(job.plan.variant, status.job().training());
    if (got == expected) return;
    world_.Violate(absl::StrCat(job.request_id, ": other numbers: ", Describe(got),
                                "; expected: ", Describe(expected)));
  }

  ChaosNumbers NumbersOf(const JobStatus& status) {
    ChaosNumbers numbers = {.weights_hash = status.weights_hash(),
                            .optimizer_hash = status.optimizer_hash(),
                            .losses = {},
                            .validation_loss = status.val_loss(),
                            .generated = {status.generated().begin(), status.generated().end()}};
    for (const CommitRecord& commit : cluster_.controller().Commits(status.job_id())) {
      numbers.losses.push_back(commit.loss);
    }
    return numbers;
  }

  ChaosResult Result() const {
    ChaosResult result = {.violation = world_.violation,
                          .state = JobState_Name(jobs_[0].status.state()),
                          .reason = jobs_[0].status.reason(),
                          .trace_hash = world_.trace.Hash(),
                          .events = world_.trace.events(),
                          .virtual_ns = world_.now_ns(),
                          .faults = world_.faults};
    for (const UserJob& job : jobs_) {
      result.steps += job.status.step();
      result.redone_steps += job.status.redone_steps();
    }
    return result;
  }

  const ChaosPlan& plan_;
  Serial serial_;
  SimWorld world_;
  SimCluster cluster_;
  FaultInjector injector_;
  std::deque<UserJob> jobs_;
  bool seen_together_ = false;  // several of them, running
  bool over_ = false;
};

}  // namespace

ChaosResult RunChaos(const ChaosPlan& plan, std::ostream* out) { return Run(plan, out).Execute(); }

}  // namespace waferstream
