// Muon (kellerjordan.github.io/posts/muon) as PyTorch has it: the momentum of a matrix, made
// orthogonal by five steps of Newton and Schulz. PyTorch takes these in bf16, this in fp32.
#pragma once

#include <cstddef>

#include "base/parallel.h"
#include "memoryx/tile_arrays.h"
#include "proto/job.pb.h"

namespace waferstream {

// Of a tile that is Muon's own (Parameter::orthogonal). Its rows are output features, and its step
// is larger by sqrt(rows / columns) if it has more of them.
void ApplyMuon(const Muon& muon, const StepUpdate& update, const TileArrays& tile,
               Parallel& parallel);

// Nearly the closest matrix whose rows are orthonormal (its singular values are around 1), for rows
// <= cols. In place; `workspace`: rows * cols + 2 * rows * rows. Gives the matrix, which is at
// either of the two places.
float* Orthogonalise(Parallel& parallel, size_t rows, size_t cols, float* matrix, float* workspace);

}  // namespace waferstream
