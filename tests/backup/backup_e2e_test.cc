// The controller's state is backed up while it runs and restored later, by the very commands of
// docs/ADMIN.md; and what that means for jobs.
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/test_wait.h"
#include "gtest/gtest.h"
#include "tests/chaos/chaos_cluster.h"
#include "tests/chaos/chaos_job.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;

// The shell commands of the page that stand behind this comment.
std::string CommandsBehind(const std::string& comment) {
  std::ifstream page("docs/ADMIN.md");
  std::stringstream text;
  text << page.rdbuf();
  const std::string all = text.str();
  const std::string begin = absl::StrCat("```sh\n# ", comment, "\n");
  const size_t at = all.find(begin);
  EXPECT_NE(at, std::string::npos) << comment;
  if (at == std::string::npos) return "false";
  const size_t from = at + begin.size();
  return all.substr(from, all.find("```", from) - from);
}

class BackupTest : public ::testing::Test {
 protected:
  BackupTest() {
    setenv("STATE", (cluster_.dir() / "state").c_str(), 1);
    setenv("BACKUP", (cluster_.dir() / "backup").c_str(), 1);
    fs::create_directories(cluster_.dir() / "backup");
  }

  static void Run(const std::string& comment) {
    const std::string commands = absl::StrCat("set -e\n", CommandsBehind(comment));
    EXPECT_EQ(system(commands.c_str()), 0) << commands;
  }
  void BackUp() { Run("back up"); }
  // As somebody would whose disk broke.
  void LoseAndRestore() {
    cluster_.Kill("controller");
    for (const char* file : {"controller.sqlite", "audit.jsonl"}) {
      fs::remove(cluster_.dir() / "state" / file);
    }
    Run("restore");
    cluster_.Start("controller");
    EXPECT_TRUE(WaitFor([&] { return cluster_.Answers(); }));
  }
  std::string Submit(const std::vector<std::string>& overrides) {
    return cluster_.Submit(ChaosJob(cluster_, overrides));
  }
  JobStatus AwaitCheckpoint(const std::string& job_id, uint64_t steps) {
    return cluster_.Await(job_id,
                          [=](const JobStatus& job) { return job.checkpoint_step() >= steps; });
  }

  // From the newest checkpoint in the job's folder.
  void ExpectANewOneGoesOn(std::vector<std::string> overrides) {
    const std::string expected = FaultFreeRun(overrides).job.weights_hash();
    fs::path newest;
    for (const fs::directory_entry& entry :
         fs::directory_iterator(cluster_.dir() / "checkpoints")) {
      const bool is_sealed = absl::StartsWith(entry.path().filename().string(), "step-");
      if (is_sealed && entry.path() > newest) newest = entry.path();
    }
    overrides.push_back(absl::StrCat("checkpoint.from=", newest.string()));
    const JobStatus job = cluster_.AwaitEnd(Submit(overrides));
    EXPECT_EQ(job.state(), DONE) << job.reason();
    EXPECT_EQ(job.weights_hash(), expected);
  }

  ChaosCluster cluster_{"backup", {.shape = {.wafers = 2, .memoryx = 1, .swarmx = 1}}};
};

TEST_F(BackupTest, ARunningJobGoesBackToTheCheckpointThatTheCopyKnows) {
  const std::vector<std::string> steps = {"training.steps=1500", "checkpoint.every=500"};
  const std::string job_id = Submit(steps);
  const JobStatus then = AwaitCheckpoint(job_id, 500);
  BackUp();
  cluster_.Await(job_id, [&](const JobStatus& job) { return job.step() > then.step() + 100; });
  LoseAndRestore();
  const JobStatus job = cluster_.AwaitEnd(job_id);
  ExpectSameResult(job, steps);
  EXPECT_TRUE(absl::StrContains(cluster_.Events(job_id), "going back to step 500"))
      << cluster_.Events(job_id);
}

TEST_F(BackupTest, AJobWhoseCheckpointIsGoneFailsAndANewOneGoesOnFromTheNewest) {
  const std::vector<std::string> steps = {"training.steps=1500", "checkpoint.every=200",
                                          "checkpoint.keep=1"};
  const std::string job_id = Submit(steps);
  const JobStatus then = AwaitCheckpoint(job_id, 200);
  BackUp();
  AwaitCheckpoint(job_id, then.checkpoint_step() + 400);
  LoseAndRestore();
  const JobStatus job = cluster_.Await(job_id, HasEnded, absl::Minutes(3));
  EXPECT_EQ(job.state(), FAILED);
  EXPECT_TRUE(absl::StrContains(job.reason(), "No such file")) << job.reason();
  ExpectANewOneGoesOn(steps);
}

TEST_F(BackupTest, AJobThatTheCopyDoesNotKnowLeavesItsNodesAndItsCheckpoints) {
  const std::vector<std::string> steps = {"training.steps=1500", "checkpoint.every=200"};
  BackUp();
  const std::string forgotten = Submit(steps);
  AwaitCheckpoint(forgotten, 200);
  LoseAndRestore();
  EXPECT_EQ(cluster_.client().Get(forgotten).status().code(), absl::StatusCode::kNotFound);
  for (const char* id : {"memoryx-0", "swarmx-0", "wafer-0", "wafer-1"}) {
    EXPECT_TRUE(WaitFor([&] { return cluster_.Node(id).state() == IDLE; })) << id;
  }
  ExpectANewOneGoesOn(steps);
}

}  // namespace
}  // namespace waferstream
