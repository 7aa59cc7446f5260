// The simulation shell: role cores on virtual time, one thread, no I/O of its own.
//
// Add every core of the plan, Start, then Run. Equal cores, reports and seeds give equal traces.
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
  // `seed`: see Delays. `parallel` runs the lanes' work. The plan and `parallel` outlive the shell.
  SimShell(const Plan& plan, std::optional<uint64_t> seed, Parallel* parallel);

  // The core of one process. It outlives the shell.
  void Add(Role role, int process, RoleCore* core);
  // Starts all cores. `on_report` is the controller's ear; it may call Commit and Fail.
  void Start(SimWorld::ReportHandler on_report);
  // Tells every MemoryX core, each at its own moment.
  void Commit(const CommitRequest& request);

  // Lets time pass until nothing is left to happen. An error: what a core refused or failed with.
  absl::Status Run();
  // Ends Run with this error, if it is the first one.
  void Fail(const absl::Status& status);

  // Names the sequence of all events so far.
  std::string TraceHash() const { return world_.trace.Hex(); }

 private:
  SimWorld world_;
  VirtualFabric fabric_;
  std::vector<std::unique_ptr<CoreHost>> hosts_;
};

}  // namespace waferstream
