#include "tests/hosts/host_cluster.h"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/host_port.h"
#include "client/test_wait.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

constexpr int kPort = 7000;  // of the controller; every host has all ports to itself

struct Placed {
  const char* program;
  const char* role;
  const char* id;
};
constexpr Placed kPlaces[kClusterHosts] = {{"controller", "controller", "controller"},
                                           {"memoryx", "memoryx", "m0"},
                                           {"swarmx", "swarmx", "s0"},
                                           {"swarmx", "swarmx", "s1"},
                                           {"wafer_node", "wafer", "w0"},
                                           {"wafer_node", "wafer", "w1"},
                                           {"wafer_node", "wafer", "w2"},
                                           {"wafer_node", "wafer", "w3"}};

}  // namespace

HostCluster::HostCluster(CtlHarness& harness, const HostNetwork& network, AddressOf address_of)
    : harness_(harness),
      network_(network),
      address_of_(address_of),
      controller_(JoinHostPort(address_of(kControllerHost), kPort)) {
  harness_.Run({"certs", "init", "--dir", harness_.certs()});
  harness_.Run({"certs", "issue", "--dir", harness_.certs(), "--role", "user", "--name", "me"});
  for (int host = 0; host < kClusterHosts; ++host) {
    harness_.Run({"certs", "issue", "--dir", harness_.certs(), "--role", kPlaces[host].role,
                  "--name", IdAt(host), "--host", address_of(host)});
    Start(host);
  }
  // On a busy machine it is not there yet when the last node has been started.
  EXPECT_TRUE(WaitFor([&] { return absl::StrContains(LogOf("controller"), "listening on"); }));
  EXPECT_TRUE(WaitFor([&] {
    const nlohmann::json nodes = AsUser({"nodes"});
    return nodes.size() == kClusterHosts - 1 &&
           std::all_of(nodes.begin(), nodes.end(),
                       [](const auto& node) { return node["state"] == "IDLE"; });
  }));
}

HostCluster::~HostCluster() {
  for (const auto& process : processes_) process->Signal(SIGTERM);
  for (const auto& process : processes_) process->Wait();
}

nlohmann::json HostCluster::AsUser(std::vector<std::string> command) {
  command.insert(command.end(), {"--controller", controller_, "-o", "json"});
  return harness_.Run(harness_.By("me", std::move(command)))->json();
}

nlohmann::json HostCluster::Node(const std::string& id) {
  for (const nlohmann::json& node : AsUser({"nodes"})) {
    if (node["node"] == id) return node;
  }
  ADD_FAILURE() << "no node " << id;
  return {};
}

std::string HostCluster::LogPath(const std::string& id) const {
  return absl::StrCat(harness_.dir().string(), "/", id, ".log");
}

std::string HostCluster::LogOf(const std::string& id) const {
  std::stringstream text;
  text << std::ifstream(LogPath(id)).rdbuf();
  return text.str();
}

std::string HostCluster::IdAt(int host) { return kPlaces[host].id; }

void HostCluster::WriteJob(const CtlHarness& harness, int steps) {
  std::ofstream(harness.dir() / "job.yaml")
      << "name: hosts\n"
         "model: {family: gpt2, layers: 2, hidden: 32, heads: 4, vocab: 256, context: 32}\n"
         "data: {train: train.bin}\n"
         "training:\n"
      << "  steps: " << steps << "\n"
      << "  global_batch: 8\n"
         "  micro_batch: 1\n"
         "  precision: f32\n"
         "  tile: 4096\n"
         "  optimizer: {adamw: {lr: 1.0e-3}}\n"
         "cluster:\n"
         "  wafers: {max: 4, min: 1}\n"
         "  swarmx: 2\n"
         "  fanout: 2\n"
         "  planes: 2\n"
         "  wafer: {sram: 64MiB}\n";
}

void HostCluster::Start(int host) {
  const std::string id = IdAt(host);
  std::vector<std::string> flags = {"--host", address_of_(host), "--log", LogPath(id)};
  if (host == kControllerHost) {
    flags.insert(flags.end(),
                 {"--state", (harness_.dir() / "state").string(), "--port", absl::StrCat(kPort)});
  } else {
    flags.insert(flags.end(), {"--id", id, "--controller", controller_});
  }
  processes_.push_back(
      harness_.StartProgram(kPlaces[host].program, harness_.By(id, flags), network_.On(host)));
}

}  // namespace waferstream
