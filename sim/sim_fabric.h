// All connections of a simulated cluster, and who answers at which port.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "fabric/fabric.h"
#include "sim/sim_connection.h"
#include "sim/sim_process.h"
#include "sim/sim_world.h"

namespace waferstream {

class SimFabric {
 public:
  explicit SimFabric(SimWorld& world) : world_(world) {}

  // The fabric as a process sees it, which listens at `port` of the host of its name. It lives in
  // one life of the process.
  std::unique_ptr<Fabric> PortOf(SimProcess& process, uint16_t port);

  // Those that work, in order of birth.
  std::vector<std::shared_ptr<SimConnection>> Connections();

 private:
  class Port;
  struct Attempt;
  struct Listener {
    uint16_t port;
    SimProcess* process;
    uint64_t life;
    AcceptHandler* handler;
  };

  void Try(const std::shared_ptr<Attempt>& attempt);
  void Answer(const std::shared_ptr<Attempt>& attempt, const Listener& listener);
  void Retry(const std::shared_ptr<Attempt>& attempt, const absl::Status& why);

  SimWorld& world_;
  std::map<std::string, Listener> listeners_;  // by host
  std::vector<std::weak_ptr<SimConnection>> connections_;
};

}  // namespace waferstream
