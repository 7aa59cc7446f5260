// {"f32": GFLOP/s, "bf16": GFLOP/s} of a large square product on one thread, the best of oneDNN's
// and ours.
#include <omp.h>

#include <algorithm>
#include <cstdio>

#include "bench/square.h"

int main() {
  using waferstream::Dtype;
  omp_set_num_threads(1);
  const auto best = [](Dtype dtype) {
    return std::max(waferstream::OneDnnSquareGflops(dtype), waferstream::OurSquareGflops(dtype));
  };
  std::printf("{\"f32\": %.1f, \"bf16\": %.1f}\n", best(Dtype::kF32), best(Dtype::kBf16));
}
