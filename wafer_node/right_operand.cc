#include "wafer_node/right_operand.h"

#include <functional>

#include "plan/kernel_workspace.h"

namespace waferstream {
namespace {

// Columns that one unit packs.
constexpr int64_t kPackColumns = 4 * kGemmPanelColumnsMax;

int64_t Cols(const OpContext& c) { return c.tile().elements / c.tile().rows; }

}  // namespace

MatrixIn RightOperand(const OpContext& c, TileUse use) {
  const bool forward = use == TileUse::kForward;
  MatrixIn b = {.data = c.weights(), .stride = Cols(c), .transposed = forward};
  if (!PacksRight(c.products())) return b;
  const int64_t n = forward ? c.tile().rows : Cols(c), k = forward ? Cols(c) : c.tile().rows;
  const std::span<std::byte> packed = c.at.Part(SramBuffer::kPackedTile, forward ? 0 : 1);
  const auto pack = [&](int i, int) {
    const RowSpan columns = SpanAt(n, kPackColumns, i);
    PackRight(c.products(), b, k, columns.first, columns.count, packed);
  };
  // By reference: a function object with so many captures would be allocated.
  c.parallel.For(static_cast<int>(SpanCount(n, kPackColumns)), std::ref(pack));
  b.packed = {packed.data(), k};
  return b;
}

MatrixIn ColumnsFrom(const OpContext& c, const MatrixIn& b, int64_t first) {
  MatrixIn part = b;
  part.data = ElementAt(static_cast<const std::byte*>(b.data), c.dtype(),
                        first * (b.transposed ? b.stride : 1));
  if (b.packed.data != nullptr) part.packed = PartOf(c.products(), b.packed, 0, first);
  return part;
}

}  // namespace waferstream
