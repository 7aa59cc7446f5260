// What a core can do: large square products, against which everything else is measured.
#pragma once

#include "base/dtype.h"

namespace waferstream {

// GFLOP/s on one thread, 2048 x 2048 x 2048, the best of several runs by the thread's CPU time.
// oneDNN's is 0 where it has no product of this dtype.
double OneDnnSquareGflops(Dtype dtype);
double OurSquareGflops(Dtype dtype);

}  // namespace waferstream
