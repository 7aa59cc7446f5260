// Puts bf16 operands into the order in which AMX reads them. Only for CPUs with AMX (which all have
// AVX-512). Single-threaded.
//
// The left operand's tile is 16 rows of 32 values along the summed dimension. The right operand's
// is 16 rows, one a pair along the summed dimension, of 16 columns' pairs. A square of C needs, a
// step of 32 along the summed dimension, two tiles of each; packed form is, square after square,
// step after step, these two tiles. What lies beyond the matrix is zero.
#pragma once

#include <cstdint>

#include "wafer_node/kernels/gemm.h"

#define AMX_TARGET __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512vl")))

namespace waferstream {

constexpr int64_t kAmxTileRows = 16;
constexpr int64_t kAmxDepth = 32;
constexpr int64_t kAmxTileElements = kAmxTileRows * kAmxDepth;
constexpr int64_t kAmxSquare = 2 * kAmxTileRows;

// Rows [row, row + m) of op(A) [.., k]. `to` has RoundUp(m, kAmxSquare) * GemmPackedDepth(k).
void PackLeft(const MatrixIn& a, int64_t row, int64_t m, int64_t k, Bf16* to);

// Columns [column, column + n) of op(B) [k, ..].
void PackRight(const MatrixIn& b, int64_t column, int64_t n, int64_t k, Bf16* to);

}  // namespace waferstream
