#include "plan/kernel_order.h"

#include "absl/strings/match.h"

namespace waferstream {

bool HasFusedSums(absl::string_view kernel_isa) {
  return absl::StrContains(kernel_isa, "simd:avx");
}

std::string KernelsFor(const JobSpec& job, const std::string& kernel_isa) {
  return IsPortable(job) && HasFusedSums(kernel_isa) ? kPortableKernels : kernel_isa;
}

}  // namespace waferstream
