// Whose order of additions the wafers of a job keep to (training.kernels), and how a job's record
// names it.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "proto/job.pb.h"

namespace waferstream {

// What the record of a portable job has for kernel_isa, whatever its wafers are.
inline constexpr char kPortableKernels[] = "portable";

// What a wafer needs for a portable job, for messages.
inline constexpr char kPortableNeeds[] = "training.kernels: portable needs AVX2 and FMA";

inline bool IsPortable(const JobSpec& job) { return job.training().kernels() == KERNELS_PORTABLE; }

// Whether kernels of this name (wafer_node/kernels/isa.h) have fused multiply-adds, without which
// nobody keeps the portable order: those whose vectors are AVX2 or newer.
bool HasFusedSums(absl::string_view kernel_isa);

// What a wafer that computes with `kernel_isa` has for a job's record: "portable" if the job asks
// for that and the wafer can, else `kernel_isa`.
std::string KernelsFor(const JobSpec& job, const std::string& kernel_isa);

}  // namespace waferstream
