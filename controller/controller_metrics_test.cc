#include "controller/controller_metrics.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"

namespace waferstream {
namespace {

// The value of a sample, by the values of its labels; nullopt: there is none.
std::optional<double> Value(const MetricFamilies& families, const std::string& name,
                            const std::vector<std::string>& labels = {}) {
  for (const prometheus::MetricFamily& family : families) {
    if (family.name != "waferstream_" + name) continue;
    for (const prometheus::ClientMetric& sample : family.metric) {
      std::vector<std::string> values;
      for (const auto& label : sample.label) values.push_back(label.value);
      if (values == labels) return sample.gauge.value + sample.counter.value;
    }
  }
  return std::nullopt;
}

size_t Samples(const MetricFamilies& families) {
  size_t samples = 0;
  for (const prometheus::MetricFamily& family : families) samples += family.metric.size();
  return samples;
}

JobStatus Job(const std::string& id, JobState state) {
  JobStatus job;
  job.set_job_id(id);
  job.set_name("moss");
  job.set_state(state);
  job.set_epoch(2);
  job.set_redone_steps(3);
  job.set_step(7);
  job.set_steps(9);
  return job;
}

TEST(ControllerMetricsTest, CountsJobsByState) {
  StatusBoard board;
  board.Publish(Job("job-1-a", DONE));
  board.Publish(Job("job-2-a", RUNNING));
  board.Publish(Job("job-3-a", RUNNING));
  const MetricFamilies families = ControllerMetrics(board, {}, 5);
  EXPECT_EQ(Value(families, "jobs", {"running"}), 2);
  EXPECT_EQ(Value(families, "jobs", {"done"}), 1);
  EXPECT_EQ(Value(families, "jobs", {"failed"}), 0);
  EXPECT_EQ(Value(families, "epochs_total"), 6);
  EXPECT_EQ(Value(families, "steps_redone_total"), 9);
  EXPECT_EQ(Value(families, "steps_committed_total"), 5);
}

TEST(ControllerMetricsTest, CountsNodesByRoleAndState) {
  NodeList nodes;
  const auto add = [&](Role role, NodeState state, bool cordoned) {
    NodeStatus& node = *nodes.add_nodes();
    node.set_role(role);
    node.set_state(state);
    node.set_cordoned(cordoned);
  };
  add(WAFER, BUSY, false);
  add(WAFER, BUSY, true);
  add(MEMORYX, LOST, false);
  const MetricFamilies families = ControllerMetrics({}, nodes, 0);
  EXPECT_EQ(Value(families, "nodes", {"wafer", "busy"}), 2);
  EXPECT_EQ(Value(families, "nodes", {"wafer", "idle"}), 0);
  EXPECT_EQ(Value(families, "nodes", {"memoryx", "lost"}), 1);
  EXPECT_EQ(Value(families, "nodes", {"swarmx", "idle"}), 0);
  EXPECT_EQ(Value(families, "nodes_cordoned", {"wafer"}), 1);
}

TEST(ControllerMetricsTest, SaysOfAJobThatIsNotOverWhatIsKnown) {
  StatusBoard board;
  board.Publish(Job("job-1-a", DONE));
  board.Publish(Job("job-2-a", RUNNING));
  MetricFamilies families = ControllerMetrics(board, {}, 0);
  EXPECT_EQ(Value(families, "job_step", {"job-2-a", "moss"}), 7);
  EXPECT_EQ(Value(families, "job_steps", {"job-2-a", "moss"}), 9);
  EXPECT_EQ(Value(families, "job_loss", {"job-2-a", "moss"}), std::nullopt);
  EXPECT_EQ(Value(families, "job_tokens_per_second", {"job-2-a", "moss"}), std::nullopt);
  EXPECT_EQ(Value(families, "job_step", {"job-1-a", "moss"}), std::nullopt);
  JobStatus job = Job("job-2-a", PAUSED);
  job.set_loss(2.5);
  job.set_step_seconds(0.5);
  job.set_tokens_per_second(1000);
  board.Publish(job);
  families = ControllerMetrics(board, {}, 0);
  EXPECT_EQ(Value(families, "job_loss", {"job-2-a", "moss"}), 2.5);
  EXPECT_EQ(Value(families, "job_tokens_per_second", {"job-2-a", "moss"}), 1000);
}

TEST(ControllerMetricsTest, ManyJobsMakeNoMoreSeries) {
  StatusBoard board;
  for (int i = 1; i <= kJobsWithMetrics; ++i)
    board.Publish(Job(absl::StrCat("job-", i, "-a"), RUNNING));
  const size_t samples = Samples(ControllerMetrics(board, {}, 0));
  for (int i = kJobsWithMetrics + 1; i < 1000; ++i) {
    board.Publish(Job(absl::StrCat("job-", i, "-a"), i % 2 == 0 ? RUNNING : QUEUED));
  }
  EXPECT_EQ(Samples(ControllerMetrics(board, {}, 0)), samples);
}

}  // namespace
}  // namespace waferstream
