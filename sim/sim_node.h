// One node of a simulated cluster: a process with a production role, its shell and its way to the
// controller.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "node/control.h"
#include "node/role.h"
#include "proto/controller.pb.h"
#include "sim/sim_controller_calls.h"
#include "sim/sim_fabric.h"
#include "sim/sim_process.h"
#include "sim/sim_world.h"

namespace waferstream {

class SimNode {
 public:
  // Makes the role of a new life; what it owned in the one before is gone, or as a crash left it.
  using MakeRole = std::function<std::unique_ptr<NodeRole>()>;

  struct Options {
    std::string id;
    Role role;
    bool same_ports;  // in every life
    MakeRole make_role;
    std::function<void()> crash_disk;  // the life is over: what it had not synced may be gone
  };

  SimNode(SimWorld& world, SimFabric& fabric, SimControllerService& controller, Options options);
  ~SimNode();

  // A new life, under the same id.
  void Boot();
  // Everything in the process is gone. `silently`: see SimProcess.
  void Kill(bool silently);
  // Somebody tells the process to stop: within `grace_ns` it leaves and ends. `ended`: if this made
  // it end, and nothing else before.
  void Stop(int64_t grace_ns, std::function<void()> ended);

  const std::string& id() const { return options_.id; }
  Role role() const { return options_.role; }
  SimProcess& process() { return process_; }
  const SimProcess& process() const { return process_; }
  // Of its Node service, host:port.
  std::string address() const;
  // In a life: carries out a call of the controller.
  void Serve(const NodeRequest& request, NodeAnswer answer);
  // Nothing prepared, nothing to be reported.
  bool idle() const;

 private:
  struct Life;

  uint16_t port() const;
  RegisterRequest Registration() const;
  void OnLost(const absl::Status& why);
  void OnLeft(const absl::Status& how);

  SimWorld& world_;
  SimFabric& fabric_;
  SimControllerService& controller_;
  const Options options_;
  SimProcess process_;
  std::unique_ptr<Life> life_;  // null: dead
};

}  // namespace waferstream
