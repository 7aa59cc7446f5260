#include "wafer_node/bit_flips.h"

#include <vector>

#include "base/mark.h"
#include "base/status.h"
#include "wafer_node/op_context.h"
#include "wafer_node/outputs.h"

namespace waferstream {
namespace {

constexpr uint64_t kBitsOfFloat = 8 * sizeof(float);

void Flip(std::byte* array, uint64_t bit) {
  WS_MARK("wafer: flipped a bit");
  array[bit / 8] ^= std::byte{1} << bit % 8;
}

void FlipOutput(const Output& output, uint64_t bit) {
  const uint64_t bits = 8 * BytesOf(output.dtype);
  if (output.rows == 0) return;  // an expert without tokens
  bit %= output.rows * output.columns * bits;
  const int64_t element = static_cast<int64_t>(bit / bits);
  const int64_t row = element / output.columns, column = element % output.columns;
  Flip(ElementAt(output.data, output.dtype, row * output.stride + column), bit % bits);
}

}  // namespace

bool BitFlips::IsNow(const OpContext& c) const {
  WS_CHECK(spec_.tile >= 0 && spec_.tile < static_cast<int>(c.plan.tiles.size()));
  return c.wave.pass.step == spec_.step && c.wave.pass.wave == 0;
}

void BitFlips::BeforeOp(const OpContext& c) {
  if (spec_.what != FaultSpec::What::kWeights || !IsNow(c)) return;
  if (c.wave.pass.kind != PassKind::kForward) return;
  for (size_t i = 0; i < c.op().needs.size(); ++i) {
    if (c.plan.program.forward_stream[c.op().needs[i]] != spec_.tile) continue;
    const Op& op = c.op();
    // A bias stays for all tiles of its matrix; it is flipped when the first of them is used.
    if (op.item >= 0 && c.tile().first_row > 0 && op.needs[i] != op.item) continue;
    Flip(const_cast<std::byte*>(c.in.tiles[i]), spec_.bit % (8 * c.plan.TileBytes(spec_.tile)));
  }
}

void BitFlips::AfterOp(const OpContext& c) {
  if (spec_.what != FaultSpec::What::kActivation || !IsNow(c)) return;
  if (c.wave.pass.kind != PassKind::kForward || c.op().item < 0) return;
  if (c.plan.program.forward_stream[c.op().item] != spec_.tile) return;
  for (const Output& output : OutputsOf(c, /*resident=*/0)) FlipOutput(output, spec_.bit);
}

void BitFlips::OnGradient(const OpContext& c, int g, int resident, int64_t first, float* values,
                          int64_t count) {
  if (spec_.what != FaultSpec::What::kGradient || !IsNow(c) || resident != 0) return;
  const int tile = c.plan.program.gradient_stream[c.op().gradients[g]].tile;
  if (tile != spec_.tile) return;
  const uint64_t bit = spec_.bit % (c.plan.tiles[tile].elements * kBitsOfFloat);
  const int64_t element = static_cast<int64_t>(bit / kBitsOfFloat);
  if (element < first || element >= first + count) return;
  Flip(reinterpret_cast<std::byte*>(values + element - first), bit % kBitsOfFloat);
}

}  // namespace waferstream
