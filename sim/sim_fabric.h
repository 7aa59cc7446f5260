// All connections of a chaos run, and who answers at which port.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fabric/channel.h"
#include "proto/fabric.pb.h"
#include "sim/chaos_world.h"
#include "sim/sim_connection.h"
#include "sim/sim_process.h"

namespace waferstream {

// Somebody who answers a dial.
class SimAcceptor {
 public:
  virtual ~SimAcceptor() = default;
  // The end of the connection that is wanted here. An error: it is not (now).
  virtual absl::StatusOr<const Plan*> Admit(const Hello& theirs) = 0;
  virtual void Adopt(const Hello& theirs, std::shared_ptr<ChannelEnd> channel) = 0;
};

class SimFabric {
 public:
  explicit SimFabric(ChaosWorld& world) : world_(world) {}

  // host:port answers from now on in the process's present life.
  void Listen(const std::string& host, uint32_t port, SimProcess& process, SimAcceptor& acceptor);

  struct Dial {
    SimProcess* from;
    std::string host;
    uint32_t port;
    Hello hello;
    const Plan* plan;  // of the dialling end
    int64_t deadline_ns;
  };
  // Dials until the peer agrees or the deadline has passed. `wanted` says whether the one who dials
  // still does; `done` is called at most once, in its process.
  using Done = std::function<void(absl::StatusOr<std::shared_ptr<ChannelEnd>>)>;
  void Connect(Dial dial, std::function<bool()> wanted, Done done);

  // Those that work, in order of birth.
  std::vector<std::shared_ptr<SimConnection>> Connections();

 private:
  struct Listener {
    uint32_t port;
    SimProcess* process;
    uint64_t life;
    SimAcceptor* acceptor;
  };
  struct Attempt {
    Dial dial;
    std::function<bool()> wanted;
    Done done;
  };

  void Try(std::shared_ptr<Attempt> attempt);
  void Answer(const std::shared_ptr<Attempt>& attempt, const Listener& listener);
  void Retry(std::shared_ptr<Attempt> attempt, const absl::Status& why);

  ChaosWorld& world_;
  std::map<std::string, Listener> listeners_;  // by host
  std::vector<std::weak_ptr<SimConnection>> connections_;
};

}  // namespace waferstream
