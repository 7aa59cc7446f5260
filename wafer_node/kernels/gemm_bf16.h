// The two ways to multiply bf16 matrices. Both have Gemm()'s contract with dtype kBf16.
#pragma once

#include "wafer_node/kernels/gemm.h"

namespace waferstream {

// Whether this machine has AMX for bf16, and the operating system lets us use it.
bool HasAmx();

// On AMX tiles; requires HasAmx().
void GemmBf16Amx(const GemmOptions& options, const MatrixIn& a, const MatrixIn& b,
                 const MatrixOut& c, std::span<std::byte> workspace);

// Converts blocks to fp32 and multiplies those: any CPU.
void GemmBf16Portable(const GemmOptions& options, const MatrixIn& a, const MatrixIn& b,
                      const MatrixOut& c, std::span<std::byte> workspace);

}  // namespace waferstream
