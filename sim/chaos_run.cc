#include "sim/chaos_run.h"

#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proto/job_state.h"
#include "sim/chaos_jobs.h"
#include "sim/fault_injector.h"
#include "sim/sim_cluster.h"

namespace waferstream {
namespace {

constexpr char kRequest[] = "the job";
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

// What must hold (and where else it is looked at):
//   - the job ends, within the plan's deadline;
//   - it is DONE (or FAILED for a reason in kAllowed), and its weights, optimizer state, losses and
//   validation are those of the
//     fault-free run;
//   - every gradient counts once, and no bound is exceeded (epoch_audit.h, wire_contract.h);
//   - a commit is recorded once, or again with equal values (sim_controller_host.cc);
//   - after the end every node that lives is released and idle.
class Run {
 public:
  Run(const ChaosPlan& plan, std::ostream* out)
      : plan_(plan),
        world_(plan.seed, plan.pace, plan.weather, serial_, out),
        cluster_(world_, {.memoryx = plan.memoryx_nodes,
                          .swarmx = plan.swarmx_nodes,
                          .wafers = plan.wafer_nodes,
                          .same_ports = plan.same_ports,
                          .seed = plan.seed}),
        injector_(world_, plan, cluster_) {}

  ChaosResult Execute() {
    cluster_.Boot();
    injector_.Begin();
    Submit();
    Watch();
    uint64_t events = 0;
    while (!over_ && world_.violation.empty() && world_.queue.RunNext()) {
      if (++events > kEventsMax) world_.Violate("no end of events");
    }
    return Result();
  }

 private:
  // A client that asks until it is answered.
  void Submit() {
    SimControllerHost& controller = cluster_.controller();
    if (controller.answers())
      controller.Submit(kRequest, plan_.job, [this](const auto& answer) {
        if (answer.ok() || absl::IsUnavailable(answer.status())) return;  // the disk refused it
        world_.Violate(std::string(answer.status().message()));
      });
    world_.queue.After(plan_.pace.lease_ns, [this] {
      if (!cluster_.controller().OnRecord(kRequest).has_value()) Submit();
    });
  }

  // Looks now and then whether everything is over.
  void Watch() {
    world_.queue.After(plan_.pace.lease_ns / 2, [this] {
      SimControllerHost& controller = cluster_.controller();
      if (const auto status = controller.OnRecord(kRequest)) status_ = *status;
      const bool ended = IsFinal(status_.state());
      if (ended && world_.now_ns() > plan_.faults_end_ns && Released()) return Conclude();
      if (controller.answers() && controller.ShowsPaused(status_.job_id())) Resume();
      if (world_.now_ns() < plan_.deadline_ns) return Watch();
      world_.Violate(ended ? absl::StrCat("not released: ", NotReleased())
                           : absl::StrCat("the job stands still: ", JobState_Name(status_.state()),
                                          " after ", status_.step(), " steps: ", status_.reason()));
    });
  }

  // A user who has made room on the disk, or whatever the job waits for.
  void Resume() {
    ++world_.faults["(resumed)"];
    cluster_.controller().Resume(status_.job_id(), absl::StrCat("resume ", ++resumes_));
  }

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
    if (status_.state() == FAILED && IsAllowed(plan_, status_.reason())) return;
    if (status_.state() != DONE) {
      return world_.Violate(absl::StrCat(JobState_Name(status_.state()), ": ", status_.reason()));
    }
    ChaosNumbers got = {status_.weights_hash(), status_.optimizer_hash(), {}, status_.val_loss()};
    for (const CommitRecord& commit : cluster_.controller().Commits(status_.job_id())) {
      got.losses.push_back(commit.loss);
    }
    const ChaosNumbers& expected = ExpectedNumbers(plan_.variant);
    if (got == expected) return;
    world_.Violate(
        absl::StrCat("other numbers: ", Describe(got), "; expected: ", Describe(expected)));
  }

  ChaosResult Result() const {
    return {.violation = world_.violation,
            .state = JobState_Name(status_.state()),
            .reason = status_.reason(),
            .trace_hash = world_.trace.Hash(),
            .events = world_.trace.events(),
            .virtual_ns = world_.now_ns(),
            .steps = status_.step(),
            .redone_steps = status_.redone_steps(),
            .faults = world_.faults};
  }

  const ChaosPlan& plan_;
  Serial serial_;
  SimWorld world_;
  SimCluster cluster_;
  FaultInjector injector_;
  int resumes_ = 0;
  JobStatus status_;  // on record, when last looked at
  bool over_ = false;
};

}  // namespace

ChaosResult RunChaos(const ChaosPlan& plan, std::ostream* out) { return Run(plan, out).Execute(); }

}  // namespace waferstream
