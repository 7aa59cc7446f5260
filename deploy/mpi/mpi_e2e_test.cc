// `waferctl mpi-run` under a real mpirun: the same results as `waferctl run`, whatever ends.
#include <gmock/gmock.h>
#include <signal.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/ctl_harness.h"
#include "client/test_wait.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

class MpiE2eTest : public ::testing::Test {
 protected:
  MpiE2eTest()
      : harness_(::testing::UnitTest::GetInstance()->current_test_info()->name()),
        waferctl_(harness_.program()) {
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    // Its session folders have sockets, whose names may not be long.
    setenv("OMPI_MCA_orte_tmpdir_base", "/tmp", 1);
    setenv("OMPI_MCA_rmaps_base_oversubscribe", "1", 1);
  }

  json RunLocally(std::vector<std::string> flags = {}) {
    harness_.SetProgram(waferctl_);
    flags.insert(flags.begin(), {"run", "-f", "job.yaml", "-o", "json"});
    return harness_.Run(flags)->json();
  }
  std::vector<std::string> MpiRun(int ranks, const std::vector<std::string>& flags = {}) {
    harness_.SetProgram("/usr/bin/mpirun");
    std::vector<std::string> command = {
        "-n", absl::StrCat(ranks), waferctl_.string(), "mpi-run", "-f", "job.yaml", "-o", "json"};
    command.insert(command.end(), flags.begin(), flags.end());
    return command;
  }
  void ExpectSameResult(const json& a, const json& b) {
    for (const char* key :
         {"state", "step", "weights_hash", "optimizer_hash", "losses", "val_loss"}) {
      EXPECT_EQ(a[key], b[key]) << key;
    }
  }
  static void ExpectGone(const std::vector<pid_t>& processes) {
    for (const pid_t pid : processes) {
      EXPECT_TRUE(WaitFor([&] { return kill(pid, 0) != 0 && errno == ESRCH; })) << pid;
    }
  }
  fs::path RunDir() const { return harness_.dir() / "runs" / "tiny-mpi"; }
  bool HasCheckpoint(const std::string& name) const {
    return fs::exists(RunDir() / "checkpoints" / name);
  }

  CtlHarness harness_;
  const fs::path waferctl_;
};

TEST_F(MpiE2eTest, TheResultIsThatOfRun) {
  harness_.WriteJob(6);
  const json local = RunLocally();
  const json mpi = harness_.Run(MpiRun(5))->json();
  ExpectSameResult(local, mpi);
  EXPECT_EQ(mpi["sram_peak_bytes"], local["sram_planned_bytes"]);
  EXPECT_EQ(mpi["run_dir"], RunDir().string());
  for (const char* name : {"controller", "memoryx-0", "swarmx-0", "wafer-0", "wafer-1"}) {
    EXPECT_TRUE(fs::exists(RunDir() / "logs" / absl::StrCat(name, ".log"))) << name;
  }
}

TEST_F(MpiE2eTest, NorDoesTheShapeOfTheLaunchChangeABit) {
  harness_.WriteJob(4);
  const std::vector<std::string> shape = {"--wafers", "3", "--memoryx", "2",
                                          "--swarmx", "2", "--set",     "cluster.fanout=2"};
  ExpectSameResult(RunLocally(), harness_.Run(MpiRun(8, shape))->json());
}

// Submitted again, as a batch system does: the job goes on from its last checkpoint.
TEST_F(MpiE2eTest, ARankThatDiesEndsTheLaunchAndTheNextOneGoesOn) {
  harness_.WriteJob(300);
  auto first = harness_.Start(MpiRun(5));
  ASSERT_TRUE(WaitFor([&] { return HasCheckpoint("step-000040"); }));
  const std::vector<pid_t> ranks = first->Children();
  ASSERT_EQ(ranks.size(), 5u);
  kill(ranks.back(), SIGKILL);
  EXPECT_NE(first->Wait(), 0);
  EXPECT_THAT(first->err(), HasSubstr("of 300 steps; the same command goes on from"));
  EXPECT_THAT(first->err(), HasSubstr("mpirun noticed that process rank"));
  ExpectGone(ranks);

  const auto second = harness_.Run(MpiRun(5));
  EXPECT_THAT(second->err(), HasSubstr("goes on from /"));
  ExpectSameResult(RunLocally(), second->json());
}

TEST_F(MpiE2eTest, ARankThatHangsIsNamedAndEndsTheLaunch) {
  harness_.WriteJob(1000000);
  auto launch = harness_.Start(MpiRun(5));
  ASSERT_TRUE(WaitFor([&] { return HasCheckpoint("step-000010"); }));
  const std::vector<pid_t> ranks = launch->Children();
  kill(ranks.back(), SIGSTOP);
  EXPECT_NE(launch->Wait(), 0);
  EXPECT_THAT(launch->err(), HasSubstr("has not answered for 30s"));
  ExpectGone(ranks);
}

TEST_F(MpiE2eTest, ALaunchThatIsToldToStopGoesOnNextTime) {
  harness_.WriteJob(200);
  auto first = harness_.Start(MpiRun(5));
  ASSERT_TRUE(WaitFor([&] { return HasCheckpoint("step-000010"); }));
  const std::vector<pid_t> ranks = first->Children();
  first->Signal(SIGTERM);
  EXPECT_NE(first->Wait(), 0);
  ExpectGone(ranks);
  ExpectSameResult(RunLocally(), harness_.Run(MpiRun(5))->json());
}

TEST_F(MpiE2eTest, AJobThatHasEndedIsNotRunAgain) {
  harness_.WriteJob(2);
  const json first = harness_.Run(MpiRun(5))->json();
  const auto again = harness_.Run(MpiRun(5));
  EXPECT_THAT(again->err(), HasSubstr("has ended already"));
  ExpectSameResult(first, again->json());
}

TEST_F(MpiE2eTest, AFolderIsOfOneJob) {
  harness_.WriteJob(2);
  harness_.Run(MpiRun(5));
  const auto other = harness_.Run(MpiRun(5, {"--set", "training.steps=4"}), 2);
  EXPECT_THAT(other->err(), HasSubstr("--run-dir: /"));
  EXPECT_THAT(other->err(), HasSubstr("training.steps: 2 -> 4"));
}

TEST_F(MpiE2eTest, TheRanksMustFitTheJob) {
  harness_.WriteJob(2);
  const auto few = harness_.Run(MpiRun(4), 2);
  EXPECT_THAT(few->err(), HasSubstr("the job takes 5 ranks (1 controller, 1 MemoryX, 1 SwarmX, 2 "
                                    "wafers), and 4 were launched: mpirun -n 5"));
  EXPECT_FALSE(fs::exists(RunDir()));
  harness_.SetProgram(waferctl_);
  const auto none = harness_.Run({"mpi-run", "-f", "job.yaml"}, 2);
  EXPECT_THAT(none->err(), HasSubstr("nobody launched any"));
}

// As a batch system runs it.
TEST_F(MpiE2eTest, TheBatchScriptRunsTheJob) {
  harness_.WriteJob(2);
  setenv("SLURM_NTASKS", "5", 1);
  setenv("WAFERCTL", waferctl_.c_str(), 1);
  harness_.SetProgram(fs::absolute("deploy/mpi/slurm.sh"));
  const json batch = harness_.Run({"job.yaml", "-o", "json"})->json();
  unsetenv("SLURM_NTASKS");
  ExpectSameResult(RunLocally(), batch);
}

TEST_F(MpiE2eTest, AWrongJobIsSaidOnce) {
  harness_.WriteJob(2);
  const auto call = harness_.Run(MpiRun(5, {"--set", "training.steps=x"}), 2);
  const std::string err = call->err();
  const size_t first = err.find("training.steps");
  EXPECT_NE(first, std::string::npos) << err;
  EXPECT_EQ(err.find("training.steps", first + 1), std::string::npos) << err;
}

}  // namespace
}  // namespace waferstream
