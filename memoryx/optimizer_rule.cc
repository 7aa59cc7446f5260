#include "memoryx/optimizer_rule.h"

#include <cmath>

#include "memoryx/optimizer_kernels.h"
#include "memoryx/tile_math.h"

namespace waferstream {
namespace {

AdamWFactors FactorsOf(const AdamW& adamw, const StepUpdate& update, bool decay) {
  const double t = static_cast<double>(update.step) + 1;
  const double weight_decay = decay ? adamw.weight_decay() : 0;
  AdamWFactors f;
  f.clip = static_cast<float>(update.clip_factor);
  f.keep = static_cast<float>(1 - update.learning_rate * weight_decay);
  f.beta1 = static_cast<float>(adamw.beta1());
  f.beta1_rest = static_cast<float>(1 - adamw.beta1());
  f.beta2 = static_cast<float>(adamw.beta2());
  f.beta2_rest = static_cast<float>(1 - adamw.beta2());
  f.bias2_root = static_cast<float>(std::sqrt(1 - std::pow(adamw.beta2(), t)));
  f.eps = static_cast<float>(adamw.eps());
  f.step_size = static_cast<float>(update.learning_rate / (1 - std::pow(adamw.beta1(), t)));
  return f;
}

SgdFactors FactorsOf(const Sgd& sgd, const StepUpdate& update, bool decay) {
  SgdFactors f;
  f.clip = static_cast<float>(update.clip_factor);
  f.weight_decay = static_cast<float>(decay ? sgd.weight_decay() : 0);
  f.momentum = static_cast<float>(sgd.momentum());
  f.learning_rate = static_cast<float>(update.learning_rate);
  return f;
}

LionFactors FactorsOf(const Lion& lion, const StepUpdate& update, bool decay) {
  const double weight_decay = decay ? lion.weight_decay() : 0;
  LionFactors f;
  f.clip = static_cast<float>(update.clip_factor);
  f.keep = static_cast<float>(1 - update.learning_rate * weight_decay);
  f.beta1 = static_cast<float>(lion.beta1());
  f.beta1_rest = static_cast<float>(1 - lion.beta1());
  f.beta2 = static_cast<float>(lion.beta2());
  f.beta2_rest = static_cast<float>(1 - lion.beta2());
  f.learning_rate = static_cast<float>(update.learning_rate);
  return f;
}

float* Floats(const TileArrays& tile, size_t state) {
  return reinterpret_cast<float*>(tile.states[state]);
}

void ApplyAdamW(const AdamW& adamw, const StepUpdate& update, const TileArrays& tile,
                Parallel& parallel) {
  const AdamWFactors f = FactorsOf(adamw, update, tile.decayed);
  ForPieces(parallel, tile.elements, [&](size_t at, size_t n) {
    UpdateAdamW(f, n, tile.gradient + at, tile.weights + at, Floats(tile, 0) + at,
                Floats(tile, 1) + at);
  });
}

void ApplySgd(const Sgd& sgd, const StepUpdate& update, const TileArrays& tile,
              Parallel& parallel) {
  const SgdFactors f = FactorsOf(sgd, update, tile.decayed);
  float* const momentum = tile.states.empty() ? nullptr : Floats(tile, 0);
  ForPieces(parallel, tile.elements, [&](size_t at, size_t n) {
    UpdateSgd(f, n, tile.gradient + at, tile.weights + at,
              momentum == nullptr ? nullptr : momentum + at);
  });
}

void ApplyLion(const Lion& lion, const StepUpdate& update, const TileArrays& tile,
               Parallel& parallel) {
  const LionFactors f = FactorsOf(lion, update, tile.decayed);
  ForPieces(parallel, tile.elements, [&](size_t at, size_t n) {
    UpdateLion(f, n, tile.gradient + at, tile.weights + at, Floats(tile, 0) + at);
  });
}

}  // namespace

void ApplyUpdate(const Optimizer& optimizer, const StepUpdate& update, const TileArrays& tile,
                 Parallel& parallel) {
  switch (optimizer.kind_case()) {
    case Optimizer::kAdamw:
      return ApplyAdamW(optimizer.adamw(), update, tile, parallel);
    case Optimizer::kLion:
      return ApplyLion(optimizer.lion(), update, tile, parallel);
    default:
      return ApplySgd(optimizer.sgd(), update, tile, parallel);
  }
}

}  // namespace waferstream
