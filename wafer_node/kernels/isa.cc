#include "wafer_node/kernels/isa.h"

#include <algorithm>
#include <cctype>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "hwy/targets.h"
#include "oneapi/dnnl/dnnl.h"
#include "wafer_node/kernels/gemm.h"

namespace waferstream {
namespace {

// A level is named by the most that it allows Highway and our own products, which ask oneDNN for
// theirs.
struct Level {
  const char* name;
  dnnl_cpu_isa_t onednn;
  int64_t disabled;  // of Highway's targets
  bool (*on_this_cpu)();
};

bool HasAvx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool HasAvx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

constexpr int64_t kAvx512Targets = HWY_AVX3 | HWY_AVX3_DL;

constexpr Level kLevels[] = {
    {"sse4", dnnl_cpu_isa_sse41, HWY_AVX2 | kAvx512Targets, [] { return true; }},
    {"avx2", dnnl_cpu_isa_avx2, kAvx512Targets, HasAvx2},
    {"avx512", dnnl_cpu_isa_avx512_core, 0, HasAvx512},
    {"avx512_bf16", dnnl_cpu_isa_avx512_core_bf16, 0,
     [] { return HasAvx512() && __builtin_cpu_supports("avx512bf16"); }},
    {"amx", dnnl_cpu_isa_avx512_core_amx, 0,
     [] { return HasAvx512() && __builtin_cpu_supports("amx-bf16"); }},
};

std::string HighwayIsa() {
  const int64_t best = KernelTarget();
  if (best == HWY_AVX3) return "avx512";
  std::string name = hwy::TargetName(best);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return tolower(c); });
  return name;
}

}  // namespace

std::string KernelIsa() {
  const std::string simd = HighwayIsa(), own = Bf16Instruction();
  return absl::StrCat("f32:", simd, " bf16:", own.empty() ? simd : own, " simd:", simd);
}

std::vector<std::string> KernelIsaNames() {
  std::vector<std::string> names;
  for (const Level& level : kLevels) names.push_back(level.name);
  return names;
}

std::vector<std::string> AvailableKernelIsas() {
  std::vector<std::string> names;
  for (const Level& level : kLevels) {
    if (level.on_this_cpu()) names.push_back(level.name);
  }
  return names;
}

absl::Status ForceKernelIsa(const std::string& name) {
  const auto level = std::find_if(std::begin(kLevels), std::end(kLevels),
                                  [&](const Level& l) { return l.name == name; });
  const std::string has = absl::StrCat("this CPU has ", absl::StrJoin(AvailableKernelIsas(), ", "));
  if (level == std::end(kLevels)) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": not one of ", absl::StrJoin(KernelIsaNames(), ", "), "; ", has));
  }
  if (!level->on_this_cpu()) return absl::InvalidArgumentError(absl::StrCat(name, ": ", has));
  if (dnnl_set_max_cpu_isa(level->onednn) != dnnl_success) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": oneDNN refuses to be held to it now"));
  }
  hwy::DisableTargets(level->disabled);
  // Chosen now, while there is one thread: Highway's first choice is without what was disabled, for
  // a moment, and others might run in it.
  KernelTarget();
  if (name == "avx512_bf16") ForcePairProducts();
  return absl::OkStatus();
}

}  // namespace waferstream
