// What MPI's own collectives make of the rounds of shm_bench: 256 MiB in tiles of 4 MiB. Start with
// `mpirun -n N`: rank 0 broadcasts to N - 1 that read every byte; all N reduce to rank 0. One line
// a row on rank 0: NAME TAB GB/s, the median of several rounds.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "bench/look.h"
#include "bench/ranks.h"

namespace waferstream {
namespace {

constexpr size_t kTileFloats = size_t{1} << 20;
constexpr int kTiles = 64;
constexpr int kRounds = 7;  // the first of which warms up

void Measure(const std::string& row, const std::function<void(int tile)>& one) {
  std::vector<double> seconds;
  for (int round = 0; round < kRounds; ++round) {
    MPI_Barrier(MPI_COMM_WORLD);
    const double begun_s = MPI_Wtime();
    for (int tile = 0; tile < kTiles; ++tile) one(tile);
    MPI_Barrier(MPI_COMM_WORLD);
    if (round > 0) seconds.push_back(MPI_Wtime() - begun_s);
  }
  std::sort(seconds.begin(), seconds.end());
  if (Rank() != 0) return;
  const double bytes = kTiles * double{kTileFloats} * sizeof(float);
  std::printf("%s\t%.3f\n", row.c_str(), bytes / seconds[seconds.size() / 2] / 1e9);
}

void MeasureAll() {
  std::vector<float> tiles(kTiles * kTileFloats, 1.5f), sum(kTileFloats);
  Measure("MPI_Bcast to " + std::to_string(Ranks() - 1), [&](int tile) {
    float* const at = tiles.data() + tile * kTileFloats;
    MPI_Bcast(at, static_cast<int>(kTileFloats), MPI_FLOAT, 0, MPI_COMM_WORLD);
    if (Rank() == 0) return;
    const uint64_t seen = Look(at, kTileFloats * sizeof(float));
    asm volatile("" : : "r"(seen));
  });
  Measure("MPI_Reduce from " + std::to_string(Ranks()), [&](int tile) {
    MPI_Reduce(tiles.data() + tile * kTileFloats, sum.data(), static_cast<int>(kTileFloats),
               MPI_FLOAT, MPI_SUM, 0, MPI_COMM_WORLD);
  });
}

}  // namespace
}  // namespace waferstream

int main() {
  MPI_Init(nullptr, nullptr);
  waferstream::MeasureAll();
  MPI_Finalize();
}
