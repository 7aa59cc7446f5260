#include "tests/chaos/chaos_job.h"

#include <fstream>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "checkpoint/posix_disk.h"
#include "data/job_data.h"
#include "gtest/gtest.h"
#include "plan/job_yaml.h"

namespace waferstream {
namespace {

constexpr const char* kText =
    "The weights live in memory services, not in the machines that compute. Layer by layer they "
    "are broadcast to the compute nodes, used once, and dropped; gradients are reduced on their "
    "way "
    "back and update the weights where they live. A compute node therefore never needs room for "
    "the "
    "model, only for one layer and its own activations, and a model of any size trains with plain "
    "data parallelism. Until the commit, a step can be abandoned and done again: weights and "
    "optimizer state are untouched and partial gradients are thrown away. After it, it is history. "
    "Two uses of one parameter are two contributions, added in the order of the plan. A hung node "
    "is a lost node: leases, not closed sockets, decide.\n";

constexpr const char* kJob =
    "name: chaos\n"
    "model: {family: gpt2, layers: 2, hidden: 32, heads: 4, vocab: 256, context: 16}\n"
    "data: {train: text.txt}\n"
    "training:\n"
    "  steps: 200\n"
    "  global_batch: 8\n"
    "  micro_batch: 1\n"
    "  precision: f32\n"
    "  tile: 4096\n"
    "  optimizer: {adamw: {lr: 1.0e-3}}\n"
    "cluster: {wafers: {max: 2}, wafer: {sram: 64MiB}}\n"
    "checkpoint: {every: 50, keep: 2}\n";

FaultFree Measure(const std::vector<std::string>& overrides) {
  ChaosCluster cluster("fault_free", {.shape = {.wafers = 2, .memoryx = 1, .swarmx = 1}});
  const std::string job_id = cluster.Submit(ChaosJob(cluster, overrides));
  cluster.Await(job_id, [](const JobStatus& job) { return job.step() > 0 || HasEnded(job); });
  const absl::Time first_step = absl::Now();
  FaultFree run;
  run.job = cluster.AwaitEnd(job_id);
  run.duration = absl::Now() - first_step;
  EXPECT_EQ(run.job.state(), DONE) << run.job.reason();
  return run;
}

}  // namespace

JobSpec ChaosJob(const ChaosCluster& cluster, const std::vector<std::string>& overrides) {
  const std::string dir = cluster.dir().string();
  std::ofstream(dir + "/text.txt") << kText;
  absl::StatusOr<JobSpec> job = ParseJobYaml(kJob, dir, overrides);
  EXPECT_TRUE(job.ok()) << job.status();
  if (!job.ok()) return JobSpec();
  EXPECT_TRUE(RecordContent(PosixDisk(), *job).ok());
  if (job->checkpoint().dir().empty()) job->mutable_checkpoint()->set_dir(dir + "/checkpoints");
  return *job;
}

const FaultFree& FaultFreeRun(const std::vector<std::string>& overrides) {
  static auto& runs = *new std::map<std::vector<std::string>, FaultFree>;
  const auto known = runs.find(overrides);
  if (known != runs.end()) return known->second;
  return runs[overrides] = Measure(overrides);
}

void ExpectSameResult(const JobStatus& job, const std::vector<std::string>& overrides) {
  const JobStatus& expected = FaultFreeRun(overrides).job;
  EXPECT_EQ(job.state(), DONE) << job.reason();
  EXPECT_EQ(job.weights_hash(), expected.weights_hash());
  EXPECT_EQ(job.optimizer_hash(), expected.optimizer_hash());
  ASSERT_EQ(job.losses_size(), expected.losses_size());
  for (int i = 0; i < job.losses_size(); ++i) {
    EXPECT_EQ(job.losses(i), expected.losses(i)) << "step " << i;
  }
}

}  // namespace waferstream
