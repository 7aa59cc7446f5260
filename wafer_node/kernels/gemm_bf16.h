// The two ways to multiply bf16 matrices. Both have Gemm()'s contract with dtype kBf16 and nothing
// to do only when m or n is 0.
#pragma once

#include "wafer_node/kernels/gemm.h"

namespace waferstream {

// Converts blocks to fp32 and multiplies those: any CPU.
void GemmBf16Portable(const GemmOptions& options, const MatrixIn& a, const MatrixIn& b,
                      const MatrixOut& c, std::span<std::byte> workspace);

}  // namespace waferstream
