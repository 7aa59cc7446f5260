#include "wafer_node/wafer_role.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/arena.h"
#include "base/status.h"
#include "plan/kernel_order.h"
#include "wafer_node/file_tokens.h"
#include "wafer_node/kernels/isa.h"
#include "wafer_node/wafer_core.h"

namespace waferstream {
namespace {

// Whether this node, which has `kernels` for the job, can compute it; `wanted`: as the others do.
absl::Status CheckKernels(const JobSpec& job, const std::string& kernels,
                          const std::string& wanted) {
  if (IsPortable(job) && kernels != kPortableKernels) {
    return absl::FailedPreconditionError(
        absl::StrCat(kPortableNeeds, "; this node computes with ", kernels));
  }
  if (wanted.empty() || wanted == kernels) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("kernel_isa: this node computes with ", kernels, ", the job with ", wanted));
}

}  // namespace

namespace {

Arena::Lent StagingOf(const SramLayout& sram) {
  size_t first = sram.bytes, end = 0;
  for (const SramBuffer buffer : {SramBuffer::kStagingSmall, SramBuffer::kStagingLarge}) {
    const SramRegion* const region = sram.Find(buffer, 0);
    if (region == nullptr || region->bytes == 0) continue;
    first = std::min(first, region->offset);
    end = std::max(end, region->offset + region->bytes);
  }
  if (first >= end) return {};
  return {.offset = first, .bytes = end - first};
}

}  // namespace

void WaferRole::AddFlags(CLI::App& app) {
  app.add_option_function<std::string>(
      "--kernel-isa",
      [](const std::string& name) {
        const absl::Status forced = ForceKernelIsa(name);
        if (!forced.ok()) throw CLI::ValidationError("--kernel-isa", std::string(forced.message()));
      },
      "hold all kernels to " + absl::StrJoin(KernelIsaNames(), ", ") +
          "; all wafers of a job need the same, unless it is portable");
  // After the one above, so that it is heeded.
  app.set_version_flag(
      "--show-kernel-isa", [] { return KernelIsa(); },
      "say which instruction sets the kernels use, and end");
}

std::string WaferRole::kernel_isa() const { return KernelIsa(); }

absl::StatusOr<std::unique_ptr<RoleCore>> WaferRole::Prepare(const PrepareRequest& request,
                                                             const Plan& plan,
                                                             PrepareReply* reply) {
  const std::string kernels = KernelsFor(plan.job, kernel_isa());
  RETURN_IF_ERROR(CheckKernels(plan.job, kernels, request.kernel_isa()));
  if (request.job_id() != job_id_) files_.Forget();
  job_id_ = request.job_id();
  std::unique_ptr<TokenSource> tokens;
  if (!plan.is_generation()) {
    ASSIGN_OR_RETURN(tokens, FileTokens::Open(plan, files_));
  } else if (request.start_step() != 0) {
    // The tokens so far are nowhere but in the wafer that made them.
    return absl::FailedPreconditionError("a generation cannot start at a later token than 0");
  }
  // What the plan uses of the SRAM, not all that the profile has: nothing is claimed beyond.
  // Gradients are read where they were made.
  ASSIGN_OR_RETURN(Arena arena, Arena::Create(plan.sram.bytes, StagingOf(plan.sram)));
  reply->set_sram_planned_bytes(plan.sram.bytes);
  reply->set_resident_bytes(arena.size());
  reply->set_kernel_isa(kernels);
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
