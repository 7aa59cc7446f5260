// The simulation shell: role cores on virtual time, one thread, no I/O of its own.
//
// Add every core of the plan, Start, then Run until a condition holds. Equal cores, reports and
// seeds give equal traces.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/parallel.h"
#include "node/role_core.h"
#include "plan/plan.h"
#include "sim/core_host.h"
#include "sim/virtual_fabric.h"

namespace waferstream {

class SimShell {
 public:
  // `seed`: see Delays. `parallel` runs the lanes' work. `on_report` is the controller's ear; it
  // may call Commit. The plan and `parallel` outlive the shell.
  SimShell(const Plan& plan, std::optional<uint64_t> seed, Parallel* parallel,
           CoreHost::ReportHandler on_report);

  // The core of one process. It outlives the shell.
  void Add(Role role, int process, RoleCore* core);
  // Starts all cores.
  void Start();
  // Tells every MemoryX core, each at its own moment.
  void Commit(const CommitRequest& request);

  // Lets time pass until `done()`. An error: what a core refused or failed with.
  // DEADLINE_EXCEEDED: nothing is left to happen, so it can never be done.
  absl::Status Run(const std::function<bool()>& done);

  // Names the sequence of all events so far.
  std::string TraceHash() const { return world_.trace.Hex(); }

 private:
  SimWorld world_;
  VirtualFabric fabric_;
  const CoreHost::ReportHandler on_report_;
  std::vector<std::unique_ptr<CoreHost>> hosts_;
};

}  // namespace waferstream
