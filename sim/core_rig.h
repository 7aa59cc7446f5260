// Cores of one plan on virtual time, each in a process of its own with production's shell; nobody
// prepares them but the rig, and nobody commits.
//
// It knows cores only by their interface, so a role's own tests may use it, with toys around the
// role. Equal cores and seeds give equal traces.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/parallel.h"
#include "core/role_core.h"
#include "node/control.h"
#include "plan/plan.h"
#include "proto/node.pb.h"
#include "sim/sim_fabric.h"
#include "sim/sim_world.h"

namespace waferstream {

// Lifecycle: Add every process of the plan, each role's in order; then Run, once.
class CoreRig {
 public:
  // The plan outlives the rig.
  CoreRig(const Plan& plan, uint64_t seed);
  ~CoreRig();

  // The core of the next process of this role. It lives as long as the rig, unless it fails.
  void Add(Role role, std::unique_ptr<RoleCore> core);

  // Starts all cores and lets time pass until nothing is left to happen. `on_report` hears what
  // they report. INTERNAL: what the first one to fail said, after its name ("WAFER 0").
  using ReportHandler = std::function<void(Role role, int process, const NodeReport& report)>;
  absl::Status Run(const ReportHandler& on_report);

  // Names the sequence of all events so far.
  std::string TraceHash() const { return world_.trace.Hash(); }

 private:
  struct Process;

  PrepareRequest RequestFor(const Process& process) const;
  // Calls every process, and lets time pass until all have answered.
  absl::Status CallAll(const std::function<NodeRequest(const Process&)>& request);
  void Fail(const Process& process, absl::string_view why);

  const Plan& plan_;
  Serial serial_;
  SimWorld world_;
  SimFabric fabric_;
  Roster roster_;
  std::vector<std::unique_ptr<Process>> processes_;
  absl::Status failure_;
};

}  // namespace waferstream
