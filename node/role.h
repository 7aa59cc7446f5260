// What a role gives to the shell: how to build its core.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/role_core.h"
#include "plan/plan.h"
#include "proto/node.pb.h"

namespace CLI {
class App;
}

namespace waferstream {

// One process's role. Builds a core for every epoch the process is prepared for; lives as long as
// the process.
//
// Thread rule: Prepare, Release and Seal are called one at a time, on a lane of their own, never on
// the loop. They may block (they read and write files). Seal runs beside a live core and its lane
// work, so what a role shares between Seal and its core it must guard.
class NodeRole {
 public:
  virtual ~NodeRole() = default;

  // The proto's Role: which of the roster's lists this process appears in.
  virtual Role kind() const = 0;

  // The role's own flags of the process, which the parser checks and acts upon.
  virtual void AddFlags(CLI::App&) {}

  // The kernel instruction set this process computes with; empty for roles without kernels.
  virtual std::string kernel_isa() const { return ""; }

  // The core for this epoch. `plan` is compiled from the request and agrees with its plan_hash; it
  // outlives the core, which may keep the reference. The core before it is already destroyed.
  // Fills in what the role knows of `reply` (sizes are bytes). INVALID_ARGUMENT: the job's data or
  // checkpoint is at fault, one clear line; any other error is the node's.
  virtual absl::StatusOr<std::unique_ptr<RoleCore>> Prepare(const PrepareRequest& request,
                                                            const Plan& plan,
                                                            PrepareReply* reply) = 0;

  // The job is over for this node: forget what was kept from one epoch for the next. The core is
  // already destroyed.
  virtual void Release() {}

  // SealCheckpoint of the prepared epoch (proto/node.proto).
  virtual absl::StatusOr<SealReply> Seal(const SealRequest&) {
    return absl::UnimplementedError("SealCheckpoint is for the first MemoryX node");
  }
};

}  // namespace waferstream
