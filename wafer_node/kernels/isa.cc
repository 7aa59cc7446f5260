#include "wafer_node/kernels/isa.h"

#include "hwy/targets.h"
#include "oneapi/dnnl/dnnl.h"

namespace waferstream {
namespace {

const char* OneDnnIsa() {
  switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_all:
      return "all";
    case dnnl_cpu_isa_sse41:
      return "sse41";
    case dnnl_cpu_isa_avx:
      return "avx";
    case dnnl_cpu_isa_avx2:
      return "avx2";
    case dnnl_cpu_isa_avx2_vnni:
      return "avx2_vnni";
    case dnnl_cpu_isa_avx512_core:
      return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni:
      return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16:
      return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_amx:
      return "avx512_core_amx";
    default:
      return "other";
  }
}

}  // namespace

std::string KernelIsa() {
  // What the machine has and this was compiled for; the best is the lowest bit.
  const int64_t targets = hwy::SupportedTargets() & HWY_TARGETS;
  return std::string(OneDnnIsa()) + "/" + hwy::TargetName(targets & -targets);
}

}  // namespace waferstream
