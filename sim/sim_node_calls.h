// The nodes as a simulated controller sees them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controller/node_call.h"
#include "sim/sim_node.h"
#include "sim/sim_process.h"
#include "sim/sim_world.h"

namespace waferstream {

// The calls of one life of the controller's process: late, lost, served twice.
class SimNodeCalls final : public NodeCalls {
 public:
  // `nodes` may grow; they outlive the calls.
  SimNodeCalls(SimWorld& world, SimProcess& process, const std::vector<SimNode*>& nodes)
      : world_(world), process_(process), nodes_(nodes) {}

  void Make(NodeCall call, std::function<void(NodeCallResult)> done) override;
  void CancelAll() override {}  // a simulated controller is killed, not stopped

 private:
  struct Attempts;
  void Attempt(const std::shared_ptr<Attempts>& attempts);
  SimNode& NodeAt(const std::string& address) const;

  SimWorld& world_;
  SimProcess& process_;
  const std::vector<SimNode*>& nodes_;
};

}  // namespace waferstream
