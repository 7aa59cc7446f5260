#include "memoryx/optimizer_rule.h"

#include <array>
#include <cmath>

#include "base/status.h"
#include "memoryx/adafactor.h"
#include "memoryx/muon.h"
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

std::variant<AdamWFactors, SgdFactors, LionFactors> FactorsOf(const Optimizer& optimizer,
                                                              const StepUpdate& update,
                                                              bool decayed) {
  switch (optimizer.kind_case()) {
    case Optimizer::kAdamw:
      return FactorsOf(optimizer.adamw(), update, decayed);
    case Optimizer::kLion:
      return FactorsOf(optimizer.lion(), update, decayed);
    case Optimizer::kMuon: {
      StepUpdate rest = update;
      rest.learning_rate = LearningRateOfRest(optimizer.muon(), update.learning_rate);
      return FactorsOf(optimizer.muon().rest(), rest, decayed);
    }
    default:
      return FactorsOf(optimizer.sgd(), update, decayed);
  }
}

// With `arrays` of floats only.
void AddArrays(const TileArrays& arrays, std::span<MemorySums> sums) {
  const size_t bytes = arrays.elements * sizeof(float);
  sums[0].Add(arrays.weights, bytes);
  for (size_t s = 0; s < arrays.states.size(); ++s) sums[1 + s].Add(arrays.states[s], bytes);
}

struct Application {
  const TileArrays& to;
  std::span<MemorySums> before;

  void operator()(const AdamWFactors& f) const {
    UpdateAdamW(f, to.elements, to.gradient, to.weights, to.Floats(0), to.Floats(1), before.data());
  }
  void operator()(const SgdFactors& f) const {
    AddArrays(to, before);
    UpdateSgd(f, to.elements, to.gradient, to.weights, to.states.empty() ? nullptr : to.Floats(0));
  }
  void operator()(const LionFactors& f) const {
    AddArrays(to, before);
    UpdateLion(f, to.elements, to.gradient, to.weights, to.Floats(0));
  }
};

}  // namespace

ElementwiseRule::ElementwiseRule(const Optimizer& optimizer, const StepUpdate& update, bool decayed)
    : factors_(FactorsOf(optimizer, update, decayed)) {}

void ElementwiseRule::Apply(const TileArrays& arrays, std::span<MemorySums> before) const {
  WS_CHECK(before.size() == 1 + arrays.states.size());
  std::visit(Application{arrays, before}, factors_);
}

bool IsElementwise(const Optimizer& optimizer, bool orthogonal) {
  return !optimizer.has_adafactor() && !(optimizer.has_muon() && orthogonal);
}

void ApplyUpdate(const Optimizer& optimizer, const StepUpdate& update, const TileArrays& tile,
                 Parallel& parallel) {
  if (optimizer.has_adafactor()) {
    return ApplyAdafactor(optimizer.adafactor(), update, tile, parallel);
  }
  if (optimizer.has_muon() && tile.orthogonal) {
    return ApplyMuon(optimizer.muon(), update, tile, parallel);
  }
  const ElementwiseRule rule(optimizer, update, tile.decayed);
  ForPieces(parallel, tile.elements, [&](size_t at, size_t n) {
    std::array<MemorySums, 1 + kStatesMax> unused;
    std::array<std::byte*, kStatesMax> states;
    rule.Apply(Part(tile, at, n, states), std::span(unused).first(1 + tile.states.size()));
  });
}

}  // namespace waferstream
