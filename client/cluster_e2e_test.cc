// A cluster that stays: `up`, everything one can ask of it, `down`.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/ctl_harness.h"
#include "client/test_wait.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class ClusterE2eTest : public testing::Test {
 protected:
  ClusterE2eTest() : harness_("cluster") {
    harness_.WriteJob(2);
    harness_.Run({"up", "--wafers", "2"});
  }
  ~ClusterE2eTest() override {
    harness_.Run({"down"});
    EXPECT_TRUE(harness_.Processes().empty()) << "down waits for the processes";
  }

  std::string Submit(std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), {"submit", "-f", "job.yaml"});
    return std::string(absl::StripSuffix(harness_.Run(flags)->out(), "\n"));
  }

  CtlHarness harness_;
};

TEST_F(ClusterE2eTest, AJobFromSubmitToResult) {
  const json done = harness_.Run({"submit", "-f", "job.yaml", "--wait", "-o", "json"})->json();
  EXPECT_EQ(done["state"], "DONE");
  const std::string job = done["job"];
  EXPECT_EQ(harness_.Run({"get", job, "-o", "json"})->json()["weights_hash"], done["weights_hash"]);
  EXPECT_TRUE(absl::StrContains(harness_.Run({"get", job, "-o", "yaml"})->out(), "state: DONE"));
  EXPECT_TRUE(absl::StrContains(harness_.Run({"watch", job})->out(), "DONE"));
  EXPECT_EQ(harness_.Run({"list", "-o", "json"})->json()[0]["job"], job);
  EXPECT_GT(harness_.Run({"logs", job, "-o", "json"})->json().size(), 0u);
  EXPECT_FALSE(harness_.Run({"logs", job, "--node", "wafer-0"})->out().empty());
  const json version = harness_.Run({"version", "-o", "json"})->json();
  EXPECT_EQ(version["client"], version["controller"]["version"]);
  const json nodes = harness_.Run({"nodes", "-o", "json"})->json();
  EXPECT_EQ(nodes.size(), 4u);
  for (const json& node : nodes) EXPECT_EQ(node["state"], "IDLE");
}

TEST_F(ClusterE2eTest, OneRequestIdIsOneJobWhenThatHasBegunAsWell) {
  const std::vector<std::string> flags = {"--request-id", "mine", "--set", "checkpoint.dir=own"};
  const std::string job = Submit(flags);
  harness_.Run({"watch", job});
  EXPECT_EQ(Submit(flags), job);
  // Another job is refused there, as without an id.
  EXPECT_EQ(
      harness_
          .Run({"submit", "-f", "job.yaml", "--request-id", "other", "--set", "checkpoint.dir=own"},
               2)
          ->err()
          .find("waferctl: checkpoint.dir: "),
      0u);
}

TEST_F(ClusterE2eTest, OneRequestIdIsOneJob) {
  const std::string job = Submit({"--request-id", "mine"});
  EXPECT_EQ(Submit({"--request-id", "mine"}), job);
  EXPECT_EQ(harness_.Run({"list", "-o", "json"})->json().size(), 1u);
}

TEST_F(ClusterE2eTest, WatchDetachesAndCancelCancels) {
  harness_.WriteJob(1000000);
  const std::string job = Submit({"--set", "training.validate_every=1"});
  std::unique_ptr<CtlCall> watch = harness_.Start({"watch", job});
  ASSERT_TRUE(WaitFor([&] { return absl::StrContains(watch->err(), "val "); }, absl::Minutes(2)))
      << watch->err();
  watch->Signal(SIGINT);
  EXPECT_EQ(watch->Wait(), 0);
  EXPECT_TRUE(absl::StrContains(watch->err(), "detached")) << watch->err();
  EXPECT_EQ(harness_.Run({"get", job, "-o", "json"})->json()["state"], "RUNNING");

  std::unique_ptr<CtlCall> waiting = harness_.Start({"watch", job});
  harness_.Run({"cancel", job});
  EXPECT_EQ(waiting->Wait(), 6) << waiting->err();
  EXPECT_EQ(harness_.Run({"get", job, "-o", "json"})->json()["state"], "CANCELLED");
}

TEST_F(ClusterE2eTest, WhatIsNotThereIsNotFound) {
  for (const char* command : {"get", "watch", "cancel", "logs"}) {
    const auto call = harness_.Run({command, "nonsense"}, 3);
    EXPECT_TRUE(absl::StrContains(call->err(), "nonsense")) << call->err();
  }
  harness_.Run({"logs", "--node", "nonsense"}, 3);
}

TEST_F(ClusterE2eTest, ASecondUpIsRefused) {
  const auto call = harness_.Run({"up"}, 1);
  EXPECT_TRUE(absl::StrContains(call->err(), "a cluster is up")) << call->err();
  EXPECT_EQ(harness_.Processes().size(), 6u);
}

TEST_F(ClusterE2eTest, GeneratesOnIt) {
  harness_.Run({"checkpoint", "init", "-f", "job.yaml", "--out", "initial"});
  std::ifstream file(harness_.dir() / "home/waferstream/cluster/cluster.json");
  const std::string address = json::parse(file)["controller"];
  const json generated = harness_
                             .Run({"generate", "--checkpoint", "initial", "--prompt", "a",
                                   "--tokens", "3", "--controller", address, "-o", "json"})
                             ->json();
  EXPECT_EQ(generated["tokens"].size(), 3u);
}

class SupervisorTest : public ClusterE2eTest {
 protected:
  json File() const {
    return json::parse(std::ifstream(harness_.dir() / "home/waferstream/cluster/cluster.json"));
  }
  pid_t Supervisor() const { return File()["supervisor"]["pid"]; }
  pid_t Recorded(const std::string& name) const {
    const json file = File();
    for (const json& process : file["processes"]) {
      if (process["name"] == name) return process["pid"];
    }
    return 0;
  }
  void KillSupervisor() {
    const pid_t pid = Supervisor();
    ASSERT_GT(pid, 0);
    kill(pid, SIGKILL);
    EXPECT_TRUE(WaitFor([&] { return kill(pid, 0) != 0; }));
  }
  // Ends a process and waits for its successor's entry.
  void ExpectReplaced(const std::string& name, int signal) {
    const pid_t before = Recorded(name);
    ASSERT_GT(before, 0) << name;
    kill(before, signal);
    EXPECT_TRUE(WaitFor([&] { return Recorded(name) != before; }, absl::Minutes(2))) << name;
    EXPECT_TRUE(WaitFor([&] { return HearsAll(); }, absl::Minutes(1)));
  }
  bool HearsAll() {
    const auto call = harness_.Start({"nodes", "-o", "json"});
    if (call->Wait() != 0) return false;  // the controller is not back yet
    const json nodes = call->json();
    return nodes.size() == 4u && std::none_of(nodes.begin(), nodes.end(), [](const json& node) {
             return node["state"] == "LOST";
           });
  }
};

TEST_F(SupervisorTest, WhatDiesOrHangsIsStartedAgain) {
  for (const char* name : {"controller", "memoryx-0", "swarmx-0", "wafer-1"}) {
    ExpectReplaced(name, SIGKILL);
  }
  ExpectReplaced("wafer-0", SIGSTOP);
  ExpectReplaced("controller", SIGSTOP);
  EXPECT_EQ(Submit({"--wait", "-o", "json"}).find("FAILED"), std::string::npos);
}

TEST_F(SupervisorTest, SurvivesTheTerminal) {
  const pid_t supervisor = Supervisor();
  EXPECT_EQ(getsid(supervisor), supervisor);
  kill(supervisor, SIGHUP);
  ExpectReplaced("swarmx-0", SIGKILL);
  EXPECT_EQ(Supervisor(), supervisor);
}

TEST_F(SupervisorTest, KilledItLeavesAClusterThatTheNextOneTakesOver) {
  harness_.WriteJob(1000000);
  const std::string job = Submit();
  KillSupervisor();
  EXPECT_EQ(harness_.Processes().size(), 5u);
  const auto list = harness_.Run({"list"});
  EXPECT_TRUE(absl::StrContains(list->err(), "nobody watches over the cluster")) << list->err();
  const pid_t controller = Recorded("controller");
  harness_.Run({"up"});
  EXPECT_EQ(Recorded("controller"), controller);
  EXPECT_EQ(harness_.Run({"list"})->err(), "");
  ExpectReplaced("wafer-0", SIGKILL);
  ExpectReplaced("controller", SIGKILL);
  harness_.Run({"cancel", job});
}

TEST_F(SupervisorTest, KilledOrStoppedItDoesNotKeepDownFromItsWork) {
  KillSupervisor();
  harness_.Run({"down"});
  EXPECT_TRUE(harness_.Processes().empty());
  harness_.Run({"up"});
  kill(Supervisor(), SIGSTOP);
  harness_.Run({"down"});
  EXPECT_TRUE(harness_.Processes().empty());
  harness_.Run({"up"});  // for the end of the test
}

TEST(ForegroundTest, StaysUntilItIsToldToEnd) {
  for (const int signal : {SIGTERM, SIGINT}) {
    CtlHarness harness("foreground");
    std::unique_ptr<CtlCall> up = harness.Start({"up", "--foreground", "--wafers", "1"});
    ASSERT_TRUE(
        WaitFor([&] { return absl::StrContains(up->out(), "127.0.0.1:"); }, absl::Minutes(1)))
        << up->err();
    EXPECT_EQ(harness.Run({"nodes", "-o", "json"})->json().size(), 3u);
    up->Signal(signal);
    EXPECT_EQ(up->Wait(), 0) << up->err();
    EXPECT_TRUE(harness.Processes().empty());
    harness.Run({"down"}, 3);
  }
}

// A copy of waferctl beside the real controller, and a MemoryX node that gives up at once.
void InstallWithBadMemoryx(CtlHarness& harness) {
  const fs::path built = harness.program().parent_path().parent_path();
  const fs::path bin = harness.dir() / "bin";
  fs::create_directory(bin);
  fs::copy_file(harness.program(), bin / "waferctl");
  for (const char* role : {"controller", "swarmx", "wafer_node"}) {
    fs::create_symlink(built / role / role, bin / (std::string("waferstream-") + role));
  }
  std::ofstream(bin / "waferstream-memoryx") << "#!/bin/sh\necho no memory today\nexit 3\n";
  fs::permissions(bin / "waferstream-memoryx", fs::perms::owner_all);
  harness.SetProgram(bin / "waferctl");
}

TEST(ClusterStartTest, OneProcessThatDiesTakesAllDown) {
  CtlHarness harness("bad_start");
  InstallWithBadMemoryx(harness);
  harness.WriteJob(2);
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"up"}, {"run", "-f", "job.yaml", "--quiet"}}) {
    const auto call = harness.Run(args, 1);
    EXPECT_TRUE(absl::StrContains(call->err(), "memoryx-0: exited with code 3")) << call->err();
    EXPECT_TRUE(absl::StrContains(call->err(), "no memory today")) << call->err();
    EXPECT_TRUE(harness.Processes().empty());
  }
  harness.Run({"down"}, 3);  // there is no cluster file either
}

}  // namespace
}  // namespace waferstream
