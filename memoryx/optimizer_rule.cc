#include "memoryx/optimizer_rule.h"

#include <cmath>

#include "memoryx/adafactor.h"
#include "memoryx/muon.h"
#include "memoryx/optimizer_kernels.h"
#include "memoryx/tile_math.h"
#include "plan/learning_rate.h"

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

void ApplyAdamW(const AdamW& adamw, const StepUpdate& update, const TileArrays& tile,
                Parallel& parallel) {
  const AdamWFactors f = FactorsOf(adamw, update, tile.decayed);
  ForPieces(parallel, tile.elements, [&](size_t at, size_t n) {
    UpdateAdamW(f, n, tile.gradient + at, tile.weights + at, tile.Floats(0) + at,
                tile.Floats(1) + at);
  });
}

void ApplySgd(const Sgd& sgd, const StepUpdate& update, const TileArrays& tile,
              Parallel& parallel) {
  const SgdFactors f = FactorsOf(sgd, update, tile.decayed);
  float* const momentum = tile.states.empty() ? nullptr : tile.Floats(0);
  ForPieces(parallel, tile.elements, [&](size_t at, size_t n) {
    UpdateSgd(f, n, tile.gradient + at, tile.weights + at,
              momentum == nullptr ? nullptr : momentum + at);
  });
}

void ApplyLion(const Lion& lion, const StepUpdate& update, const TileArrays& tile,
               Parallel& parallel) {
  const LionFactors f = FactorsOf(lion, update, tile.decayed);
  ForPieces(parallel, tile.elements, [&](size_t at, size_t n) {
    UpdateLion(f, n, tile.gradient + at, tile.weights + at, tile.Floats(0) + at);
  });
}

void ApplyMuonOrRest(const Muon& muon, const StepUpdate& update, const TileArrays& tile,
                     Parallel& parallel) {
  if (tile.orthogonal) return ApplyMuon(muon, update, tile, parallel);
  StepUpdate rest = update;
  rest.learning_rate = LearningRateOfRest(muon, update.learning_rate);
  ApplyAdamW(muon.rest(), rest, tile, parallel);
}

}  // namespace

bool IsElementwise(const Optimizer& optimizer, bool orthogonal) {
  return !optimizer.has_adafactor() && !(optimizer.has_muon() && orthogonal);
}

void ApplyUpdate(const Optimizer& optimizer, const StepUpdate& update, const TileArrays& tile,
                 Parallel& parallel) {
  switch (optimizer.kind_case()) {
    case Optimizer::kAdamw:
      return ApplyAdamW(optimizer.adamw(), update, tile, parallel);
    case Optimizer::kLion:
      return ApplyLion(optimizer.lion(), update, tile, parallel);
    case Optimizer::kAdafactor:
      return ApplyAdafactor(optimizer.adafactor(), update, tile, parallel);
    case Optimizer::kMuon:
      return ApplyMuonOrRest(optimizer.muon(), update, tile, parallel);
    default:
      return ApplySgd(optimizer.sgd(), update, tile, parallel);
  }
}

}  // namespace waferstream
