// A process that is stopped for good, and never closes a socket: whoever supervises replaces it.
#include <signal.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "client/ctl_harness.h"
#include "client/test_wait.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

using nlohmann::json;

const std::vector<std::string> kFlags = {"-f", "job.yaml", "-o", "json", "--set",
                                         "checkpoint.every=100", "--set",
                                         "training.validate_every=20",
                                         // Whoever is replaced is waited for.
                                         "--set", "cluster.wafers={min: 2, max: 2}"};

std::vector<std::string> With(std::vector<std::string> command) {
  command.insert(command.end(), kFlags.begin(), kFlags.end());
  return command;
}

class HangTest : public testing::TestWithParam<std::string> {};

TEST_P(HangTest, UnderRunItDoesNotChangeABit) {
  const std::string& role = GetParam();
  CtlHarness harness("hangs_" + role);
  harness.WriteJob(150);
  const json whole = harness.Run(With({"run"}))->json();
  std::unique_ptr<CtlCall> call = harness.Start(With({"run"}));
  ASSERT_TRUE(WaitFor([&] { return absl::StrContains(call->err(), "val "); }, absl::Minutes(2)))
      << call->err();
  const pid_t pid = harness.ProcessOf(role);
  ASSERT_GT(pid, 0);
  kill(pid, SIGSTOP);
  ASSERT_EQ(call->Wait(), 0) << call->err();
  EXPECT_TRUE(absl::StrContains(call->err(), "did not answer")) << call->err();
  EXPECT_TRUE(absl::StrContains(call->err(), "starting it again")) << call->err();
  EXPECT_EQ(call->json()["weights_hash"], whole["weights_hash"]);
  EXPECT_EQ(call->json()["optimizer_hash"], whole["optimizer_hash"]);
  EXPECT_EQ(call->json()["losses"], whole["losses"]);
}

INSTANTIATE_TEST_SUITE_P(Roles, HangTest,
                         testing::Values("controller", "memoryx", "swarmx", "wafer_node"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace waferstream
