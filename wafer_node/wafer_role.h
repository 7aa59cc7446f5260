// The wafer node's process: makes a core for every epoch.
#pragma once

#include <memory>
#include <string>

#include "node/role.h"

namespace waferstream {

class WaferRole final : public NodeRole {
 public:
  Role kind() const override { return WAFER; }
  std::string kernel_isa() const override;

  // Reserves the arena, opens and checks the data.
  absl::StatusOr<std::unique_ptr<RoleCore>> Prepare(const PrepareRequest& request, const Plan& plan,
                                                    PrepareReply* reply) override;
};

}  // namespace waferstream
