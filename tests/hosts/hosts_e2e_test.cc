// A cluster on eight hosts: names and addresses, trees and planes over links, a host that is cut
// off. Real processes under TLS, each in a network of its own.
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/ctl_harness.h"
#include "client/test_wait.h"
#include "gtest/gtest.h"
#include "tests/hosts/host_network.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr int kHosts = 8;
constexpr double kMbitPerS = 100;

// Host i has process i.
struct Placed {
  const char* program;
  const char* role;
  const char* id;
};
constexpr Placed kCluster[kHosts] = {{"controller", "controller", "controller"},
                                     {"memoryx", "memoryx", "m0"},
                                     {"swarmx", "swarmx", "s0"},
                                     {"swarmx", "swarmx", "s1"},
                                     {"wafer_node", "wafer", "w0"},
                                     {"wafer_node", "wafer", "w1"},
                                     {"wafer_node", "wafer", "w2"},
                                     {"wafer_node", "wafer", "w3"}};
constexpr int kSwarmX0 = 2, kSwarmX1 = 3, kWafer3 = 7;

using AddressOf = std::string (*)(int host);

std::string Controller(AddressOf address_of) {
  const std::string host = address_of(0);
  return host.find(':') == std::string::npos ? absl::StrCat(host, ":7000")
                                             : absl::StrCat("[", host, "]:7000");
}

class HostsE2eTest : public ::testing::Test {
 protected:
  HostsE2eTest()
      : harness_(::testing::UnitTest::GetInstance()->current_test_info()->name()),
        waferctl_(harness_.program()) {}
  ~HostsE2eTest() override {
    for (const auto& process : processes_) process->Signal(SIGTERM);
    for (const auto& process : processes_) process->Wait();
  }

  void SetUp() override {
    auto network = HostNetwork::Make(kHosts, kMbitPerS);
    if (absl::IsUnavailable(network.status())) GTEST_SKIP() << network.status().message();
    ASSERT_TRUE(network.ok()) << network.status();
    network_ = *std::move(network);
  }

  // The whole cluster; its processes know one another by address_of.
  void StartCluster(AddressOf address_of) {
    controller_ = Controller(address_of);
    harness_.Run({"certs", "init", "--dir", Certs()});
    harness_.Run({"certs", "issue", "--dir", Certs(), "--role", "user", "--name", "me"});
    for (int i = 0; i < kHosts; ++i) {
      harness_.Run({"certs", "issue", "--dir", Certs(), "--role", kCluster[i].role, "--name",
                    kCluster[i].id, "--host", address_of(i)});
      Start(i, address_of(i));
    }
  }

  std::string Certs() const { return (harness_.dir() / "certs").string(); }
  std::vector<std::string> By(const std::string& name, std::vector<std::string> command) const {
    for (const auto& [flag, file] :
         {std::pair<std::string, std::string>{"--tls-cert", name + ".crt"},
          {"--tls-key", name + ".key"},
          {"--tls-ca", "ca.crt"}}) {
      command.insert(command.end(), {flag, Certs() + "/" + file});
    }
    return command;
  }
  void Start(int host, const std::string& address) {
    const Placed& placed = kCluster[host];
    std::vector<std::string> flags = {"--host", address, "--log",
                                      (harness_.dir() / placed.id).string() + ".log"};
    if (host == 0) {
      flags.insert(flags.end(), {"--state", (harness_.dir() / "state").string(), "--port", "7000"});
    } else {
      flags.insert(flags.end(), {"--id", placed.id, "--controller", controller_});
    }
    harness_.SetProgram(waferctl_.parent_path().parent_path() / placed.program / placed.program);
    processes_.push_back(harness_.Start(By(placed.id, flags), network_->On(host)));
    harness_.SetProgram(waferctl_);
  }
  nlohmann::json AsUser(std::vector<std::string> command) {
    command.insert(command.end(), {"--controller", controller_, "-o", "json"});
    return harness_.Run(By("me", std::move(command)))->json();
  }

  // Two levels of SwarmX nodes a plane, and a root on each SwarmX host.
  static std::vector<std::string> OfJob(std::vector<std::string> command) {
    command.insert(command.end(), {"-f", "job.yaml"});
    for (const char* set : {"cluster.wafers.max=4", "cluster.wafers.min=1", "cluster.swarmx=2",
                            "cluster.fanout=2", "cluster.planes=2"}) {
      command.insert(command.end(), {"--set", set});
    }
    return command;
  }
  std::string HashOnOneHost() {
    return harness_.Run(OfJob({"run", "-o", "json"}))->json()["weights_hash"];
  }

  CtlHarness harness_;
  const fs::path waferctl_;
  std::unique_ptr<HostNetwork> network_;
  std::string controller_;
  std::vector<std::unique_ptr<CtlCall>> processes_;
};

class AddressesTest : public HostsE2eTest, public testing::WithParamInterface<AddressOf> {
 protected:
  void Train() {
    harness_.WriteJob(4);
    StartCluster(GetParam());
    const auto job = AsUser(OfJob({"submit", "--wait"}));
    EXPECT_EQ(job["state"], "DONE");
    EXPECT_EQ(job["wafers"], 4);
    std::fprintf(stderr, "%s\n", job.dump(1).c_str());
    EXPECT_EQ(job["weights_hash"], HashOnOneHost());
  }
};

TEST_F(HostsE2eTest, ByName) {
  harness_.WriteJob(4);
  StartCluster(HostNetwork::NameOf);
  const auto job = AsUser(OfJob({"submit", "--wait"}));
  EXPECT_EQ(job["state"], "DONE");
  EXPECT_EQ(job["wafers"], 4);
  std::fprintf(stderr, "%s\n", job.dump(1).c_str());
  EXPECT_EQ(job["weights_hash"], HashOnOneHost());
  for (int i = 0; i < kHosts; ++i) {
    auto b = network_->BytesOf(i);
    std::fprintf(stderr, "%d %lu %lu\n", i, b->sent, b->received);
  }
}
TEST_F(HostsE2eTest, ByIpv4) {
  harness_.WriteJob(4);
  StartCluster(HostNetwork::Ipv4Of);
  const auto job = AsUser(OfJob({"submit", "--wait"}));
  EXPECT_EQ(job["state"], "DONE");
  EXPECT_EQ(job["weights_hash"], HashOnOneHost());
}
TEST_F(HostsE2eTest, ByIpv6) {
  harness_.WriteJob(4);
  StartCluster(HostNetwork::Ipv6Of);
  const auto job = AsUser(OfJob({"submit", "--wait"}));
  EXPECT_EQ(job["state"], "DONE");
  EXPECT_EQ(job["weights_hash"], HashOnOneHost());
}

}  // namespace
}  // namespace waferstream
