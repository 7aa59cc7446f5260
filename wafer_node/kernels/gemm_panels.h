// Products on vector registers: all but those of native bf16 on AMX. Everything has Gemm()'s
// contract.
//
// Operands are copied into panels, block by block, and a loop over two panels keeps a small
// rectangle of C in registers. A panel is some rows of A or columns of B ("lines"), step after step
// along the summed dimension: [steps][lines] entries of 32 bits. Lines beyond the matrix are zero.
// Every element of C is a sum of chains of kChainSteps multiply-adds each, in the order of the
// summed dimension: of the first chain, plus the second, and so on. So its bits know nothing of
// other blocks, panels or threads, only of the entry and the multiply-add. One chain over all of it
// would be further from the true sum (docs/adr/0041).
#pragma once

#include <cstddef>
#include <span>

#include "wafer_node/kernels/gemm.h"

namespace waferstream {

inline constexpr int64_t kChainSteps = 128;

// What an entry of a panel holds, and so how a product goes on by one step.
enum class PanelEntry {
  kFloat,  // one value as fp32: a fused multiply-add, where the CPU has one
  kPair,   // two bf16 values as they are, the later one in the upper half: AVX-512 BF16's vdpbf16ps
  kPairTwin  // the same on any CPU, by two multiply-adds, the later value's first: for tests
};

// Whether this machine has vdpbf16ps, and nobody forbade it.
bool HasPairProducts();

// The target of Highway (hwy/targets.h) that these and all other kernels run on. To ask Highway
// what is supported would make it forget what was disabled.
int64_t PanelTarget();

// `entry` kPair needs HasPairProducts(). A `packed` of b is what PackPanels() made with this entry.
void GemmPanels(PanelEntry entry, const GemmOptions& options, const MatrixIn& a, const MatrixIn& b,
                const MatrixOut& c, std::span<std::byte> workspace);

// Where column `column` of packed columns, of `depth` values each, begins.
size_t PanelOffsetBytes(PanelEntry entry, int64_t depth, int64_t column);

// Puts columns [first, first + count) of op(B) [k, n] to their place in `packed`, which has
// GemmPackedBytes(n, k); first is a multiple of kGemmPanelColumnsMax, and so is count unless these
// are the last. Parts may be packed by several threads at once.
void PackPanels(PanelEntry entry, Dtype dtype, const MatrixIn& b, int64_t k, int64_t first,
                int64_t count, std::span<std::byte> packed);

}  // namespace waferstream
