#include "controller/controller_metrics.h"

#include <array>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "proto/job_state.h"

namespace waferstream {
namespace {

using prometheus::MetricFamily;

constexpr Role kRoles[] = {MEMORYX, SWARMX, WAFER};
constexpr NodeState kNodeStates[] = {IDLE, BUSY, LOST};

std::string Lower(const std::string& name) { return absl::AsciiStrToLower(name); }

// Every state has a sample, so that a rate or an alert needs no special case.
void AddJobs(const StatusBoard& board, MetricFamilies& families) {
  std::array<int, JobState_ARRAYSIZE> in_state = {};
  double epochs = 0, redone = 0;
  for (const auto& [job_id, job] : board.statuses()) {
    ++in_state[job.state()];
    epochs += job.epoch();
    redone += static_cast<double>(job.redone_steps());
  }
  MetricFamily jobs = GaugeFamily("jobs", "Jobs by state");
  for (int state = 0; state < JobState_ARRAYSIZE; ++state) {
    AddSample(jobs, in_state[state],
              {{"state", Lower(JobState_Name(static_cast<JobState>(state)))}});
  }
  families.push_back(std::move(jobs));
  families.push_back(CounterOf("epochs_total", "Epochs of membership begun, of all jobs", epochs));
  families.push_back(CounterOf("steps_redone_total",
                               "Steps begun, abandoned and done again, of all jobs", redone));
}

void AddNodes(const NodeList& nodes, MetricFamilies& families) {
  int in_state[Role_ARRAYSIZE][NodeState_ARRAYSIZE] = {};
  int cordoned[Role_ARRAYSIZE] = {};
  for (const NodeStatus& node : nodes.nodes()) {
    ++in_state[node.role()][node.state()];
    if (node.cordoned()) ++cordoned[node.role()];
  }
  MetricFamily by_state = GaugeFamily("nodes", "Nodes by role and state");
  MetricFamily out = GaugeFamily("nodes_cordoned", "Nodes that get no new work, by role");
  for (const Role role : kRoles) {
    const std::string name = Lower(Role_Name(role));
    for (const NodeState state : kNodeStates) {
      AddSample(by_state, in_state[role][state],
                {{"role", name}, {"state", Lower(NodeState_Name(state))}});
    }
    AddSample(out, cordoned[role], {{"role", name}});
  }
  families.push_back(std::move(by_state));
  families.push_back(std::move(out));
}

// Samples of single jobs.
class JobFamilies {
 public:
  void Add(const JobStatus& job) {
    const MetricLabels labels = {{"job", job.job_id()}, {"name", job.name()}};
    AddSample(step_, static_cast<double>(job.step()), labels);
    AddSample(steps_, static_cast<double>(job.steps()), labels);
    AddSample(wafers_, job.wafers(), labels);
    if (job.has_loss()) AddSample(loss_, job.loss(), labels);
    if (job.has_val_loss()) AddSample(val_loss_, job.val_loss(), labels);
    if (job.step_seconds() <= 0) return;  // no step was measured
    AddSample(step_seconds_, job.step_seconds(), labels);
    AddSample(tokens_, job.tokens_per_second(), labels);
    AddSample(exposed_, job.exposed_stream_fraction(), labels);
  }
  void MoveTo(MetricFamilies& families) {
    for (MetricFamily* family :
         {&step_, &steps_, &wafers_, &loss_, &val_loss_, &step_seconds_, &tokens_, &exposed_}) {
      if (!family->metric.empty()) families.push_back(std::move(*family));
    }
  }

 private:
  MetricFamily step_ = GaugeFamily("job_step", "Steps committed");
  MetricFamily steps_ = GaugeFamily("job_steps", "Steps wanted");
  MetricFamily wafers_ = GaugeFamily("job_wafers", "Wafers of the present epoch");
  MetricFamily loss_ = GaugeFamily("job_loss", "Loss of the last committed step");
  MetricFamily val_loss_ = GaugeFamily("job_validation_loss", "Loss of the last validation");
  MetricFamily step_seconds_ = GaugeFamily("job_step_seconds", "Time of a step, median");
  MetricFamily tokens_ = GaugeFamily("job_tokens_per_second", "Tokens trained on a second, median");
  MetricFamily exposed_ = GaugeFamily(
      "job_exposed_stream_ratio", "Share of a step in which the slowest wafer waited for a tile");
};

}  // namespace

MetricFamilies ControllerMetrics(const StatusBoard& board, const NodeList& nodes,
                                 uint64_t commits) {
  MetricFamilies families;
  families.push_back(CounterOf("steps_committed_total",
                               "Steps committed by this process, those done again included",
                               static_cast<double>(commits)));
  AddJobs(board, families);
  AddNodes(nodes, families);
  JobFamilies single;
  int live = 0;
  for (const auto& [job_id, job] : board.statuses()) {
    if (job.state() == QUEUED || IsFinal(job.state())) continue;
    if (++live <= kJobsWithMetrics) single.Add(job);
  }
  single.MoveTo(families);
  return families;
}

}  // namespace waferstream
