// bf16 products on AMX tiles.
#pragma once

#include "wafer_node/kernels/gemm.h"

namespace waferstream {

// Whether this machine has AMX for bf16, and the operating system lets us use it.
bool HasAmx();

// Gemm() with dtype kBf16; requires HasAmx().
void GemmBf16Amx(const GemmOptions& options, const MatrixIn& a, const MatrixIn& b,
                 const MatrixOut& c, std::span<std::byte> workspace);

}  // namespace waferstream
