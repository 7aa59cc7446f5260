// Which instruction set the kernels use in this process. Sums are grouped differently by different
// ones, so a job's weights depend on it.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace waferstream {

// What runs, by kind of kernel: fp32 products, bf16 products, everything else; for example
// "f32:avx2 bf16:avx2 simd:avx2". Jobs whose wafers give the same name give the same bits.
std::string KernelIsa();

// The names that ForceKernelIsa() takes, lowest first, and those of them that this CPU has.
std::vector<std::string> KernelIsaNames();
std::vector<std::string> AvailableKernelIsas();

// Holds every kernel of this process to one level, for unlike machines that are to agree and for
// tests; call it once, before any kernel. INVALID_ARGUMENT: one line that says what there is.
absl::Status ForceKernelIsa(const std::string& name);

}  // namespace waferstream
