// A cluster on eight hosts: names and addresses, trees and planes over links, a host that is cut
// off. Real processes under TLS, each in a network of its own.
#include <gmock/gmock.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "client/ctl_harness.h"
#include "client/test_wait.h"
#include "gtest/gtest.h"
#include "tests/hosts/host_cluster.h"
#include "tests/hosts/host_network.h"

namespace waferstream {
namespace {

using ::testing::HasSubstr;

constexpr double kMbitPerS = 100;
constexpr int kSteps = 4;

class HostsE2eTest : public ::testing::Test {
 protected:
  HostsE2eTest() : harness_(::testing::UnitTest::GetInstance()->current_test_info()->name()) {}

  void SetUp() override {
    auto network = HostNetwork::Make(kClusterHosts, kMbitPerS);
    if (absl::IsUnavailable(network.status())) GTEST_SKIP() << network.status().message();
    ASSERT_TRUE(network.ok()) << network.status();
    network_ = *std::move(network);
  }

  // The same job on one host.
  std::string HashOnOneHost() {
    return harness_.Run({"run", "-f", "job.yaml", "-o", "json"})->json()["weights_hash"];
  }
  // Trains on the cluster, each process known by its address of this kind; returns the job.
  nlohmann::json TrainBy(AddressOf address_of) {
    HostCluster::WriteJob(harness_, kSteps);
    HostCluster cluster(harness_, *network_, address_of);
    const nlohmann::json job = cluster.AsUser({"submit", "-f", "job.yaml", "--wait"});
    EXPECT_EQ(job["state"], "DONE");
    EXPECT_EQ(job["wafers"], 4);
    EXPECT_EQ(job["weights_hash"], HashOnOneHost());
    return job;
  }
  LinkBytes LinkOf(int host) const {
    const auto bytes = network_->BytesOf(host);
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    return bytes.value_or(LinkBytes{});
  }

  CtlHarness harness_;
  std::unique_ptr<HostNetwork> network_;
};

TEST_F(HostsE2eTest, TrainsByName) { TrainBy(HostNetwork::NameOf); }
TEST_F(HostsE2eTest, TrainsByIpv6) { TrainBy(HostNetwork::Ipv6Of); }

// By IPv4. What processes count is what the plan says, to the byte, and what the links carried is
// that and what TCP, TLS and control put around it.
TEST_F(HostsE2eTest, LinksOfBothPlanesCarryWhatThePlanPredicts) {
  const nlohmann::json job = TrainBy(HostNetwork::Ipv4Of);
  const auto plan = harness_.Run({"plan", "-f", "job.yaml", "-o", "json"})->json();
  EXPECT_EQ(job["epoch"], 1);
  uint64_t most = 0;  // bytes in one direction of one link
  for (int host = kMemoryX0Host; host < kClusterHosts; ++host) {
    const nlohmann::json& predicted = plan["links"][host - 1];
    const nlohmann::json& counted = job["traffic"][host - 1];
    EXPECT_EQ(counted["node"], HostCluster::IdAt(host));
    EXPECT_EQ(counted["role"], predicted["role"]);
    const auto bytes = [](const nlohmann::json& of, const char* field) {
      return of[field].get<uint64_t>();
    };
    const uint64_t sent = kSteps * bytes(predicted, "sent_bytes");
    const uint64_t received = kSteps * bytes(predicted, "received_bytes");
    const uint64_t inside = kSteps * bytes(predicted, "inside_bytes");
    EXPECT_EQ(bytes(counted, "weight_bytes_out") + bytes(counted, "gradient_bytes_out"),
              sent + inside);
    EXPECT_EQ(bytes(counted, "weight_bytes_in") + bytes(counted, "gradient_bytes_in"),
              received + inside);
    const LinkBytes link = LinkOf(host);
    EXPECT_GT(link.sent, sent);
    EXPECT_GT(link.received, received);
    most = std::max({most, sent, received});
  }
  EXPECT_GT(job["seconds"].get<double>(), most * 8 / (kMbitPerS * 1e6));  // a link is no faster
}

// In the middle of a job, until the controller knows it: a wafer, the root of a plane, and the only
// owner of all weights, which keeps them.
TEST_F(HostsE2eTest, AHostThatIsCutOffComesBack) {
  HostCluster::WriteJob(harness_, 150);
  HostCluster cluster(harness_, *network_, HostNetwork::NameOf);
  const std::string id = cluster.AsUser({"submit", "-f", "job.yaml"})["job"];
  const auto job = [&] { return cluster.AsUser({"get", id}); };
  for (const int host : {kWafer3Host, kSwarmX0Host, kMemoryX0Host}) {
    const std::string node = HostCluster::IdAt(host);
    const nlohmann::json before = job();
    ASSERT_TRUE(WaitFor([&] { return job()["step"] > before["step"]; }));
    ASSERT_TRUE(network_->Cut(host).ok());
    EXPECT_TRUE(WaitFor([&] { return cluster.Node(node)["state"] == "LOST"; })) << node;
    ASSERT_TRUE(network_->Mend(host).ok());
    ASSERT_TRUE(WaitFor([&] { return job()["epoch"] > before["epoch"]; })) << job();
    EXPECT_TRUE(WaitFor([&] { return cluster.Node(node)["state"] == "BUSY"; })) << node;
    EXPECT_THAT(cluster.AsUser({"logs", id}).dump(), HasSubstr(node + " was not heard of for"));
  }
  EXPECT_TRUE(WaitFor([&] { return job()["state"] == "DONE"; }, absl::Minutes(2))) << job();
  EXPECT_EQ(job()["weights_hash"], HashOnOneHost());
}

// Nodes wait for a controller that they have heard of.
TEST_F(HostsE2eTest, TheControllersHostIsCutOffAndComesBack) {
  HostCluster::WriteJob(harness_, 60);
  HostCluster cluster(harness_, *network_, HostNetwork::NameOf);
  const std::string id = cluster.AsUser({"submit", "-f", "job.yaml"})["job"];
  const auto job = [&] { return cluster.AsUser({"get", id}); };
  ASSERT_TRUE(WaitFor([&] { return job()["step"] > 0; }));
  ASSERT_TRUE(network_->Cut(kControllerHost).ok());
  EXPECT_TRUE(WaitFor([&] { return absl::StrContains(cluster.LogOf("w0"), "] controller: "); }));
  ASSERT_TRUE(network_->Mend(kControllerHost).ok());
  EXPECT_TRUE(WaitFor([&] { return job()["state"] == "DONE"; }, absl::Minutes(2))) << job();
  EXPECT_EQ(job()["weights_hash"], HashOnOneHost());
}

// As the name server knows it.
TEST_F(HostsE2eTest, AnAddressThatStandsForNothingIsOneLine) {
  const std::string nobody = HostNetwork::kNobody, caller = nobody + ":7000";
  const std::string why = "'" + nobody + "' is not a host: Name or service not known\n";
  const auto refuse = [&](const std::string& program, const std::vector<std::string>& flags,
                          const std::string& said) {
    const auto call = harness_.StartProgram(program, flags, network_->On(0));
    EXPECT_EQ(call->Wait(), 2) << program << " " << flags[0];
    EXPECT_EQ(call->err(), said + why);
    EXPECT_EQ(call->out(), "");
  };
  refuse("controller", {"--state", "state", "--host", nobody}, "controller: --host: ");
  refuse("controller", {"--state", "state", "--listen", nobody}, "controller: --listen: ");
  refuse("waferctl", {"list", "--controller", caller}, "waferctl: --controller: ");
  for (const std::string program : {"memoryx", "swarmx", "wafer_node"}) {
    refuse(program, {"--id", "x", "--controller", caller}, "x: --controller: ");
    const std::string there = HostNetwork::NameOf(1) + ":7000";
    refuse(program, {"--id", "x", "--controller", there, "--host", nobody}, "x: --host: ");
    refuse(program, {"--id", "x", "--controller", there, "--listen", nobody}, "x: --listen: ");
  }
}

}  // namespace
}  // namespace waferstream
