#include "wafer_node/kernels/gemm.h"

#include <pmmintrin.h>  // _MM_DENORMALS_ZERO_MASK
#include <xmmintrin.h>

#include "base/status.h"
#include "hwy/targets.h"
#include "plan/kernel_workspace.h"
#include "wafer_node/kernels/gemm_amx.h"
#include "wafer_node/kernels/gemm_panels.h"

namespace waferstream {
namespace {

bool pairs_forced = false;

// Intel's cores multiply pairs at half the rate of floats (docs/PERFORMANCE.md), AMD's at twice it.
bool PairsAreFast() { return __builtin_cpu_is("amd"); }

PanelEntry BestEntry(ProductKind kind) {
  if (AlwaysUsesPanels(kind)) return PanelEntry::kFloat;
  const bool pairs = HasPairProducts() && (PairsAreFast() || pairs_forced);
  return pairs ? PanelEntry::kPair : PanelEntry::kFloat;
}

bool OnTiles(ProductKind kind) { return !AlwaysUsesPanels(kind) && HasAmx(); }

}  // namespace

void Gemm(const GemmOptions& options, const MatrixIn& a, const MatrixIn& b, const MatrixOut& c,
          std::span<std::byte> workspace) {
  const ProductKind kind = options.kind;
  WS_CHECK(workspace.size() >= GemmWorkspaceBytes(kind, options.n, options.k));
  WS_CHECK(reinterpret_cast<uintptr_t>(workspace.data()) % kWorkspaceAlignment == 0);
  WS_CHECK(c.dtype == Dtype::kF32 || (!options.accumulate && kind.dtype == Dtype::kBf16));
  if (options.m == 0 || options.n == 0) return;
  WS_CHECK(!kind.portable || CanBePortable());
  WS_CHECK(!options.wide_left || TakesWideLeft(kind));
  if (OnTiles(kind)) {
    GemmBf16Amx(options, a, b, c, workspace);
  } else {
    GemmPanels(BestEntry(kind), options, a, b, c, workspace);
  }
}

int64_t KernelTarget() { return PanelTarget(); }

const char* Bf16Instruction() {
  if (HasAmx()) return "amx";
  return BestEntry({.dtype = Dtype::kBf16}) == PanelEntry::kPair ? "avx512_bf16" : "";
}

void ForcePairProducts() { pairs_forced = true; }

bool PacksRight(ProductKind kind) { return !OnTiles(kind); }

bool TakesWideLeft(ProductKind kind) {
  return PacksRight(kind) && BestEntry(kind) == PanelEntry::kFloat;
}

void PackRight(ProductKind kind, const MatrixIn& b, int64_t k, int64_t first, int64_t count,
               std::span<std::byte> packed) {
  WS_CHECK(PacksRight(kind));
  PackPanels(BestEntry(kind), kind.dtype, b, k, first, count, packed);
}

PackedRight PartOf(ProductKind kind, const PackedRight& packed, int64_t row, int64_t column) {
  const size_t offset = PanelOffsetBytes(BestEntry(kind), packed.depth, column);
  return {static_cast<const std::byte*>(packed.data) + offset, packed.depth, packed.row + row};
}

bool CanBePortable() {
  constexpr unsigned kChanged = _MM_FLUSH_ZERO_MASK | _MM_DENORMALS_ZERO_MASK | _MM_ROUND_MASK;
  const bool fused = (KernelTarget() & (HWY_AVX2 | HWY_AVX3)) != 0;
  return fused && (_mm_getcsr() & kChanged) == 0;
}

}  // namespace waferstream
