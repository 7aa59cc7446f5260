// The tile as the right operand of products, packed once for every micro-batch and unit that uses
// it.
#pragma once

#include "wafer_node/kernels/gemm.h"
#include "wafer_node/op_context.h"

namespace waferstream {

enum class TileUse {
  kForward,   // op(B) = W^T: [cols, rows]
  kBackward,  // op(B) = W: [rows, cols]
};

// Shares the packing out among the threads and returns when it is done; valid while the op runs.
// Where kernels gain nothing by it, the tile as it came.
MatrixIn RightOperand(const OpContext& c, TileUse use);

// The same operand, of its columns [first, ..) only; first is a multiple of kGemmPanelColumnsMax.
MatrixIn ColumnsFrom(const OpContext& c, const MatrixIn& b, int64_t first);

}  // namespace waferstream
