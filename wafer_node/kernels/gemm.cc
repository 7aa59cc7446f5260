#include "wafer_node/kernels/gemm.h"

#include "base/status.h"
#include "plan/kernel_workspace.h"
#include "wafer_node/kernels/gemm_amx.h"
#include "wafer_node/kernels/gemm_f32.h"
#include "wafer_node/kernels/gemm_panels.h"
#include "wafer_node/kernels/gemm_write.h"

namespace waferstream {
namespace {

void GemmF32(const GemmOptions& options, const MatrixIn& a, const MatrixIn& b, const MatrixOut& c) {
  WS_CHECK(c.dtype == Dtype::kF32);
  float* const out = static_cast<float*>(c.data);
  Sgemm(options, a, b, out, c.stride);
  if (options.bias == nullptr) return;
  GemmOptions add_bias = options;
  add_bias.accumulate = false;
  WriteGemmBlock(add_bias, {.rows = options.m, .columns = options.n}, out, c.stride, c);
}

bool pairs_forced = false;

// Intel's cores multiply pairs at half the rate of floats (docs/PERFORMANCE.md), AMD's at twice it.
bool PairsAreFast() { return __builtin_cpu_is("amd"); }

PanelEntry BestEntry() {
  const bool pairs = HasPairProducts() && (PairsAreFast() || pairs_forced);
  return pairs ? PanelEntry::kPair : PanelEntry::kFloat;
}

}  // namespace

void Gemm(const GemmOptions& options, const MatrixIn& a, const MatrixIn& b, const MatrixOut& c,
          std::span<std::byte> workspace) {
  WS_CHECK(workspace.size() >= GemmWorkspaceBytes(options.dtype, options.n, options.k));
  WS_CHECK(reinterpret_cast<uintptr_t>(workspace.data()) % kWorkspaceAlignment == 0);
  WS_CHECK(c.dtype == Dtype::kF32 || !options.accumulate);
  if (options.m == 0 || options.n == 0) return;
  if (options.dtype == Dtype::kF32) {
    GemmF32(options, a, b, c);
  } else if (HasAmx()) {
    GemmBf16Amx(options, a, b, c, workspace);
  } else {
    GemmBf16Panels(BestEntry(), options, a, b, c, workspace);
  }
}

const char* Bf16Instruction() {
  if (HasAmx()) return "amx";
  return BestEntry() == PanelEntry::kPair ? "avx512_bf16" : "";
}

void ForcePairProducts() { pairs_forced = true; }

bool PacksRight(Dtype dtype) { return dtype == Dtype::kBf16 && !HasAmx(); }

void PackRight(const MatrixIn& b, int64_t k, int64_t first, int64_t count,
               std::span<std::byte> packed) {
  WS_CHECK(PacksRight(Dtype::kBf16));
  PackPanels(BestEntry(), b, k, first, count, packed);
}

const void* PackedColumns(const void* packed, int64_t k, int64_t first) {
  return static_cast<const std::byte*>(packed) + PanelOffsetBytes(BestEntry(), k, first);
}

}  // namespace waferstream
