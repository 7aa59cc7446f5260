#include "wafer_node/wafer_role.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "absl/strings/str_join.h"
#include "base/arena.h"
#include "base/status.h"
#include "wafer_node/file_tokens.h"
#include "wafer_node/kernels/isa.h"
#include "wafer_node/wafer_core.h"

namespace waferstream {

void WaferRole::AddFlags(CLI::App& app) {
  app.add_option_function<std::string>(
      "--kernel-isa",
      [](const std::string& name) {
        const absl::Status forced = ForceKernelIsa(name);
        if (!forced.ok()) throw CLI::ValidationError("--kernel-isa", std::string(forced.message()));
      },
      "hold all kernels to " + absl::StrJoin(KernelIsaNames(), ", ") +
          "; all wafers of a job need the same");
  // After the one above, so that it is heeded.
  app.set_version_flag(
      "--show-kernel-isa", [] { return KernelIsa(); },
      "say which instruction sets the kernels use, and end");
}

std::string WaferRole::kernel_isa() const { return KernelIsa(); }

absl::StatusOr<std::unique_ptr<RoleCore>> WaferRole::Prepare(const PrepareRequest& request,
                                                             const Plan& plan,
                                                             PrepareReply* reply) {
  std::unique_ptr<TokenSource> tokens;
  if (!plan.is_generation()) {
    ASSIGN_OR_RETURN(tokens, FileTokens::Open(plan.job));
  } else if (request.start_step() != 0) {
    // The tokens so far are nowhere but in the wafer that made them.
    return absl::FailedPreconditionError("a generation cannot start at a later token than 0");
  }
  ASSIGN_OR_RETURN(Arena arena, Arena::Create(plan.job.cluster().wafer().sram_bytes()));
  reply->set_sram_planned_bytes(plan.sram.bytes);
  reply->set_resident_bytes(arena.size());
  reply->set_kernel_isa(kernel_isa());
  const int wafer = static_cast<int>(request.index());
  std::unique_ptr<ComputeFaults> faults;
  if (make_faults_ != nullptr) faults = make_faults_(request.roster().wafers(wafer).node_id());
  const WaferCoreOptions options{.wafer = wafer,
                                 .epoch = request.epoch(),
                                 .start_step = request.start_step(),
                                 .disputed = {request.disputed().begin(), request.disputed().end()},
                                 .diagnose = request.diagnose()};
  return std::make_unique<WaferCore>(plan, options, std::move(arena), std::move(tokens),
                                     std::move(faults));
}

}  // namespace waferstream
