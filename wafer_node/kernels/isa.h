// Which instruction set the kernels use on this machine. Sums are grouped differently by different
// ones, so a job's weights depend on it.
#pragma once

#include <string>

namespace waferstream {

// For example "avx512_core_amx/AVX3": oneDNN's and Highway's choice. oneDNN's environment
// variable DNNL_MAX_CPU_ISA lowers the first for all kernels, so that unlike machines can agree.
std::string KernelIsa();

}  // namespace waferstream
