// Which instruction set the kernels use on this machine. Sums are grouped differently by different
// ones, so a job's weights depend on it.
#pragma once

#include <string>

namespace waferstream {

// For example "avx512_core_amx/AVX3_DL": oneDNN's and Highway's choice.
std::string KernelIsa();

}  // namespace waferstream
