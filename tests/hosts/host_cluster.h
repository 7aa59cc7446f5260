// For tests: a cluster on several hosts, under TLS, as an administrator makes it by hand.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client/ctl_harness.h"
#include "nlohmann/json.hpp"
#include "tests/hosts/host_network.h"

namespace waferstream {

// A controller, a MemoryX, two SwarmX and four wafer nodes, each on a host of its own. With fan-out
// 2 and two planes every plane's tree has two levels, and each SwarmX host has one of the two
// roots.
constexpr int kClusterHosts = 8;
constexpr int kControllerHost = 0, kMemoryX0Host = 1, kSwarmX0Host = 2, kSwarmX1Host = 3,
              kWafer0Host = 4, kWafer3Host = 7;

// How processes know hosts: NameOf, Ipv4Of or Ipv6Of of HostNetwork.
using AddressOf = std::string (*)(int host);

// Everything a call needs is in the harness's folder; user and processes are its. The destructor
// ends the processes. A call that fails, fails the test.
class HostCluster {
 public:
  // References outlive the cluster. Returns once every node is idle.
  HostCluster(CtlHarness& harness, const HostNetwork& network, AddressOf address_of);
  HostCluster(const HostCluster&) = delete;
  HostCluster& operator=(const HostCluster&) = delete;
  ~HostCluster();

  // waferctl at the bridge, with the user's certificate; what it printed.
  nlohmann::json AsUser(std::vector<std::string> command);
  // The node's entry of `nodes`.
  nlohmann::json Node(const std::string& id);
  // What the process has logged so far.
  std::string LogOf(const std::string& id) const;
  static std::string IdAt(int host);  // "w3"

  // A job without validation, so that a step is all there is.
  static void WriteJob(const CtlHarness& harness, int steps);

 private:
  std::string LogPath(const std::string& id) const;
  void Start(int host);

  CtlHarness& harness_;
  const HostNetwork& network_;
  const AddressOf address_of_;
  const std::string controller_;
  std::vector<std::unique_ptr<CtlCall>> processes_;
};

}  // namespace waferstream
