// Speed of MemoryX's optimizer on one thread, and what its checksums cost: AdamW on tiles that
// together are larger than any cache, in millions of parameters a second of CPU time, the best of
// several passes; and of Muon's orthogonal matrices.
#include <time.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <deque>
#include <functional>
#include <vector>

#include "base/status.h"
#include "memoryx/held_tile.h"
#include "memoryx/muon.h"
#include "memoryx/tile_math.h"
#include "plan/optimizer_state.h"
#include "plan/plan.h"

namespace waferstream {
namespace {

constexpr int kTileElements = 1 << 20;
constexpr int kTiles = 24;  // 400 MB with gradients

double ThreadSeconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

// A plan of one large matrix, for its tiles.
Plan OneMatrix() {
  Plan plan;
  AdamW* adamw = plan.job.mutable_training()->mutable_optimizer()->mutable_adamw();
  adamw->set_beta1(0.9);
  adamw->set_beta2(0.95);
  adamw->set_eps(1e-8);
  adamw->set_weight_decay(0.1);
  plan.parameters.push_back({.name = "w", .prefix = "", .rows = kTiles, .cols = kTileElements});
  plan.parameters[0].decayed = true;
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
    Measure("adamw without checksums", [&](HeldTile& tile) {
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
  }

 private:
  float* Gradient(const HeldTile& tile) {
    return gradients_.data() + tile.tile() * size_t{kTileElements};
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
    std::printf("%-26s %8.0f M parameters/s\n", what, 1e-6 * kTiles * kTileElements / best);
  }

  const Plan plan_;
  Serial serial_;
  std::vector<float> memory_, gradients_;
  std::deque<HeldTile> tiles_;
  uint64_t step_ = 0;
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

int main() {
  waferstream::Bench().Run();
  waferstream::MeasureOrthogonal(768, 768);
  waferstream::MeasureOrthogonal(768, 3072);
}
