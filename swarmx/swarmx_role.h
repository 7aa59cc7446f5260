// The SwarmX process's role: makes a core for every epoch.
#pragma once

#include <memory>

#include "node/role.h"

namespace waferstream {

class SwarmxRole final : public NodeRole {
 public:
  Role kind() const override { return SWARMX; }

  // Allocates the windows.
  absl::StatusOr<std::unique_ptr<RoleCore>> Prepare(const PrepareRequest& request, const Plan& plan,
                                                    PrepareReply* reply) override;
};

}  // namespace waferstream
