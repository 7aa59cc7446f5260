// Speed of MemoryX's optimizer on one thread, and what its checksums cost: AdamW on tiles that
// together are larger than any cache, in millions of parameters a second of CPU time, the best of
// several passes, as one line of JSON; and making initial weights. With --muon: Muon's orthogonal
// matrices instead, as a table.
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/normal_array.h"
#include "base/status.h"
#include "bench/timing.h"
#include "memoryx/held_tile.h"
#include "memoryx/muon.h"
#include "memoryx/tile_math.h"
#include "plan/optimizer_state.h"
#include "plan/plan.h"

namespace waferstream {
namespace {

constexpr int kTileElements = 1 << 20;
constexpr int kTiles = 24;  // 400 MB with gradients

// Reads and writes what AdamW reads and writes, and computes next to nothing.
__attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3"))) void TouchAll(
    size_t n, const float* __restrict g, float* __restrict w, float* __restrict m,
    float* __restrict v) {
  for (size_t i = 0; i < n; ++i) {
    w[i] += g[i];
    m[i] += g[i];
    v[i] += g[i];
  }
}

// A plan of one large matrix, for its tiles.
Plan OneMatrix() {
  Plan plan;
  plan.job.mutable_training()->set_steps(1);
  AdamW* adamw = plan.job.mutable_training()->mutable_optimizer()->mutable_adamw();
  adamw->set_beta1(0.9);
  adamw->set_beta2(0.95);
  adamw->set_eps(1e-8);
  adamw->set_weight_decay(0.1);
  plan.parameters.push_back({.name = "w", .prefix = "", .rows = kTiles, .cols = kTileElements});
  plan.parameters[0].decayed = true;
  plan.parameters[0].trained = true;
  for (int t = 0; t < kTiles; ++t) {
    plan.tiles.push_back({.first_row = t, .rows = 1, .elements = kTileElements});
  }
  return plan;
}

class Bench {
 public:
  Bench() : plan_(OneMatrix()), memory_(kTiles * size_t{kTileElements} * 3, 1e-3f) {
    gradients_.assign(kTiles * size_t{kTileElements}, 1e-4f);
    for (int t = 0; t < kTiles; ++t) {
      auto* const at = reinterpret_cast<std::byte*>(memory_.data() + t * size_t{kTileElements} * 3);
      tiles_.emplace_back(plan_, t, StatesOf(plan_)[0], at);
      tiles_.back().Stamp(0, serial_);
    }
  }

  void Run() {
    Measure("memory bound: 28 bytes a parameter", [&](HeldTile& tile) {
      TouchAll(tile.elements(), Gradient(tile), tile.weights(), State(tile, 0), State(tile, 1));
    });
    Measure("adamw with sums of what was", [&](HeldTile& tile) {
      ApplyUpdate(plan_.job.training().optimizer(), {step_, 1.0, 1e-3},
                  {tile.elements(), true, Gradient(tile), tile.weights(), tile.states()}, serial_);
    });
    for (HeldTile& tile : tiles_) tile.Stamp(step_, serial_);
    Measure("adamw with checksums", [&](HeldTile& tile) {
      tile.SetGradient(step_, Gradient(tile));
      WS_CHECK(tile.Update(plan_.job.training().optimizer(), {step_, 1.0, 1e-3}, serial_).ok());
    });
    Measure("check of the weights",
            [&](HeldTile& tile) { WS_CHECK(tile.CheckWeights(serial_).ok()); });
    Measure("check of everything", [&](HeldTile& tile) { WS_CHECK(tile.Check(serial_).ok()); });
    std::vector<float> sum(kTileElements);
    Measure("sum of two blocks",
            [&](HeldTile& tile) { AddTile(serial_, sum.data(), Gradient(tile), tile.elements()); });
    Measure("initial weights", [&](HeldTile& tile) {
      FillNormal(1, Purpose::kInitialise, 0, 0.02, tile.tile() * uint64_t{kTileElements},
                 tile.elements(), tile.weights());
    });
    std::printf("{%s}\n", absl::StrJoin(rates_, ", ").c_str());
  }

 private:
  float* Gradient(const HeldTile& tile) {
    return gradients_.data() + tile.tile() * size_t{kTileElements};
  }

  static float* State(const HeldTile& tile, int s) {
    return reinterpret_cast<float*>(tile.states()[s]);
  }

  // One step after the other, all tiles each.
  void Measure(const char* what, const std::function<void(HeldTile&)>& one) {
    constexpr int kPasses = 9;
    double best = 1e9;
    for (int pass = 0; pass < kPasses; ++pass, ++step_) {
      const double start = ThreadSeconds();
      for (HeldTile& tile : tiles_) one(tile);
      best = std::min(best, ThreadSeconds() - start);
    }
    rates_.push_back(absl::StrFormat("\"%s\": %.1f", what, 1e-6 * kTiles * kTileElements / best));
  }

  const Plan plan_;
  Serial serial_;
  std::vector<float> memory_, gradients_;
  std::deque<HeldTile> tiles_;
  uint64_t step_ = 0;
  std::vector<std::string> rates_;
};

// One matrix, rows <= cols.
void MeasureOrthogonal(size_t rows, size_t cols) {
  const std::vector<float> matrix(rows * cols, 1e-3f);
  std::vector<float> workspace(rows * cols + 2 * rows * rows);
  Serial serial;
  double best = 1e9;
  for (int pass = 0; pass < 3; ++pass) {
    std::vector<float> x = matrix;
    const double start = ThreadSeconds();
    Orthogonalise(serial, rows, cols, x.data(), workspace.data());
    best = std::min(best, ThreadSeconds() - start);
  }
  const double flops = 10.0 * rows * rows * (2 * cols + rows);
  std::printf("orthogonal %4zu x %4zu     %8.3f s, %.1f GFLOP/s\n", rows, cols, best,
              1e-9 * flops / best);
}

}  // namespace
}  // namespace waferstream

int main(int argc, char** argv) {
  if (argc == 1) {
    waferstream::Bench().Run();
    return 0;
  }
  if (argc != 2 || std::string_view(argv[1]) != "--muon") {
    std::fprintf(stderr, "optimizer_bench [--muon]\n");
    return 2;
  }
  waferstream::MeasureOrthogonal(768, 768);
  waferstream::MeasureOrthogonal(768, 3072);
}
