// A cluster whose processes know one another by certificate, and a user's: real processes.
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/ctl_harness.h"
#include "client/test_wait.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class TlsE2eTest : public ::testing::Test {
 protected:
  TlsE2eTest()
      : harness_(::testing::UnitTest::GetInstance()->current_test_info()->name()),
        waferctl_(harness_.program()) {
    harness_.Run({"certs", "init", "--dir", Certs()});
    for (const char* role : {"controller", "memoryx", "swarmx", "wafer", "user"}) {
      harness_.Run({"certs", "issue", "--dir", Certs(), "--role", role, "--name", role, "--host",
                    "127.0.0.1"});
    }
  }
  ~TlsE2eTest() override {
    for (const auto& process : processes_) {
      process->Signal(SIGTERM);
      process->Wait();
    }
  }

  std::string Certs() const { return (harness_.dir() / "certs").string(); }
  std::vector<std::string> By(const std::string& name, std::vector<std::string> command) const {
    for (const auto& [flag, file] :
         {std::pair<std::string, std::string>{"--tls-cert", name + ".crt"},
          {"--tls-key", name + ".key"},
          {"--tls-ca", "ca.crt"}}) {
      command.push_back(flag);
      command.push_back(Certs() + "/" + file);
    }
    return command;
  }
  // A process of the cluster; `program` is its folder's and binary's name.
  CtlCall& Start(const std::string& program, const std::vector<std::string>& flags) {
    harness_.SetProgram(waferctl_.parent_path().parent_path() / program / program);
    processes_.push_back(harness_.Start(flags));
    harness_.SetProgram(waferctl_);
    return *processes_.back();
  }
  void StartController() {
    const fs::path port_file = harness_.dir() / "port";
    Start("controller", By("controller", {"--state", (harness_.dir() / "state").string(),
                                          "--port-file", port_file.string()}));
    ASSERT_TRUE(WaitFor([&] { return fs::exists(port_file); }));
    std::ifstream(port_file) >> address_;
  }
  CtlCall& StartNode(const std::string& program, const std::string& id, const std::string& by) {
    return Start(program, By(by, {"--id", id, "--controller", address_, "--log",
                                  (harness_.dir() / (id + ".log")).string()}));
  }
  std::vector<std::string> AsUser(std::vector<std::string> command) const {
    command.insert(command.end(), {"--controller", address_});
    return By("user", std::move(command));
  }

  CtlHarness harness_;
  const fs::path waferctl_;
  std::vector<std::unique_ptr<CtlCall>> processes_;
  std::string address_;
};

TEST_F(TlsE2eTest, ACompleteClusterTrainsUnderTls) {
  harness_.WriteJob(4);
  const auto clear = harness_.Run({"run", "-f", "job.yaml", "-o", "json"})->json();
  StartController();
  StartNode("memoryx", "m0", "memoryx");
  StartNode("swarmx", "s0", "swarmx");
  StartNode("wafer_node", "w0", "wafer");
  StartNode("wafer_node", "w1", "wafer");
  const auto job =
      harness_.Run(AsUser({"submit", "-f", "job.yaml", "--wait", "-o", "json"}))->json();
  EXPECT_EQ(job["weights_hash"], clear["weights_hash"]);
  EXPECT_EQ(job["optimizer_hash"], clear["optimizer_hash"]);
}

TEST_F(TlsE2eTest, ANodeWithAnothersCertificateIsRefused) {
  StartController();
  CtlCall& posing = StartNode("memoryx", "m0", "wafer");
  EXPECT_EQ(posing.Wait(), 2);
  EXPECT_THAT(posing.err(), HasSubstr("wafer.crt is of role wafer, and this process is memoryx"));
  processes_.pop_back();
}

TEST_F(TlsE2eTest, WithoutTheUsersCertificateNobodyIsServed) {
  StartController();
  harness_.Run({"list", "--controller", address_}, 4);
  EXPECT_NE(harness_.Start(By("wafer", {"list", "--controller", address_}))->Wait(), 0);
  harness_.Run(AsUser({"list"}));
}

TEST_F(TlsE2eTest, FilesAreCheckedBeforeAnythingStarts) {
  const auto refusal = [&](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"list", "--controller", "127.0.0.1:1"});
    const auto call = harness_.Run(flags, 2);
    return call->err();
  };
  EXPECT_THAT(refusal({"--tls-cert", Certs() + "/user.crt"}),
              HasSubstr("--tls-ca: is missing beside --tls-cert"));
  EXPECT_THAT(refusal({"--tls-cert", Certs() + "/user.crt", "--tls-key", Certs() + "/wafer.key",
                       "--tls-ca", Certs() + "/ca.crt"}),
              HasSubstr("wafer.key: is not the private key of"));
  EXPECT_THAT(refusal(By("wafer", {})), HasSubstr("is of role wafer, and this process is user"));
}

TEST_F(TlsE2eTest, CertsAreNotMadeTwiceNorForNothing) {
  EXPECT_THAT(harness_.Run({"certs", "init", "--dir", Certs()}, 1)->err(),
              HasSubstr("ca.key: File exists"));
  const std::vector<std::string> issue = {"certs",  "issue", "--dir", Certs(),
                                          "--name", "x",     "--role"};
  auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), issue.begin(), issue.end());
    return harness_.Run(more, 2)->err();
  };
  EXPECT_THAT(with({"root"}), HasSubstr("--role: \"root\" must be one of"));
  EXPECT_THAT(with({"wafer", "--host", "a,b"}), HasSubstr("host: a,b: not a name or address"));
  EXPECT_THAT(with({"wafer", "--days", "0"}), HasSubstr("--days"));
  EXPECT_FALSE(fs::exists(fs::path(Certs()) / "x.key"));
}

}  // namespace
}  // namespace waferstream
