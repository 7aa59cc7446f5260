#include "swarmx/swarmx_role.h"

#include <utility>

#include "base/status.h"
#include "swarmx/swarmx_core.h"

namespace waferstream {

absl::StatusOr<std::unique_ptr<RoleCore>> SwarmxRole::Prepare(const PrepareRequest& request,
                                                              const Plan& plan,
                                                              PrepareReply* reply) {
  ASSIGN_OR_RETURN(std::unique_ptr<SwarmxCore> core,
                   SwarmxCore::Create(plan, static_cast<int>(request.index()), request.epoch(),
                                      request.start_step()));
  reply->set_resident_bytes(core->resident_bytes());
  return core;
}

}  // namespace waferstream
