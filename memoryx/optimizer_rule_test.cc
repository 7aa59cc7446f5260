#include "memoryx/optimizer_rule.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <functional>
#include <vector>

#include "base/worker_pool.h"

namespace waferstream {
namespace {

// Computed with PyTorch 1.13's torch.optim: 3 steps with learning rates 1e-2, 5e-3, 2.5e-3, clip
// factor 0.8 and the gradient kGradient * (1 - 0.75 * t).
constexpr int kCount = 8;
const std::vector<float> kWeights = {0.5f, -1.25f, 2.0f, -0.03125f, 0.001f, 7.5f, -0.75f, 0.3f};
const std::vector<float> kGradient = {0.1f, -0.2f, 0.0f, 4.0f, 1e-4f, -3.0f, 0.7f, -0.01f};
constexpr double kRates[] = {1e-2, 5e-3, 2.5e-3};

struct Golden {
  std::vector<double> weights;
  std::vector<std::vector<double>> states;
};

Optimizer AdamWOf(double weight_decay) {
  Optimizer optimizer;
  AdamW* adamw = optimizer.mutable_adamw();
  adamw->set_beta1(0.9);
  adamw->set_beta2(0.95);
  adamw->set_eps(1e-8);
  adamw->set_weight_decay(weight_decay);
  return optimizer;
}

Optimizer SgdOf(double momentum, double weight_decay) {
  Optimizer optimizer;
  optimizer.mutable_sgd()->set_momentum(momentum);
  optimizer.mutable_sgd()->set_weight_decay(weight_decay);
  return optimizer;
}

Optimizer LionOf(double weight_decay) {
  Optimizer optimizer;
  Lion* lion = optimizer.mutable_lion();
  lion->set_beta1(0.9);
  lion->set_beta2(0.99);
  lion->set_weight_decay(weight_decay);
  return optimizer;
}

void ExpectGolden(const Optimizer& optimizer, bool decayed, const Golden& golden) {
  std::vector<float> weights = kWeights;
  std::vector<std::vector<float>> states(golden.states.size(), std::vector<float>(kCount));
  std::vector<std::byte*> state_pointers;
  for (auto& state : states) {
    state_pointers.push_back(reinterpret_cast<std::byte*>(state.data()));
  }
  Serial serial;
  for (int t = 0; t < 3; ++t) {
    std::vector<float> gradient = kGradient;
    for (float& g : gradient) g *= static_cast<float>(1 - 0.75 * t);
    const TileArrays tile = {kCount, decayed, gradient.data(), weights.data(), state_pointers};
    ApplyUpdate(optimizer, {static_cast<uint64_t>(t), 0.8, kRates[t]}, tile, serial);
  }
  // PyTorch may fuse a multiplication with an addition; three steps are a few roundings apart.
  const auto near = [](double got, double want) {
    EXPECT_NEAR(got, want, 4 * 0x1p-24 * std::abs(want) + 1e-9);
  };
  for (int i = 0; i < kCount; ++i) {
    near(weights[i], golden.weights[i]);
    for (size_t s = 0; s < states.size(); ++s) near(states[s][i], golden.states[s][i]);
  }
}

const std::vector<std::vector<double>> kAdamWStates = {
    {0.00427999953, -0.00855999906, 0, 0.171200022, 4.27999976e-06, -0.128400013, 0.029959999,
     -0.000427999999},
    {0.000387800043, 0.00155120017, 0, 0.620480001, 3.87799987e-10, 0.349020004, 0.019002201,
     3.87799992e-06}};

TEST(OptimizerRule, AdamWIsPyTorchs) {
  ExpectGolden(AdamWOf(0.1), true,
               {{0.484176934, -1.23286498, 1.99650168, -0.0461438373, -0.0139481267, 7.50183105,
                 -0.763636708, 0.31442374},
                kAdamWStates});
}

TEST(OptimizerRule, VectorsAreNotDecayed) {
  ExpectGolden(AdamWOf(0.1), false,
               {{0.485042959, -1.23504293, 2, -0.046207048, -0.0139549254, 7.51495743, -0.76495707,
                 0.314957023},
                kAdamWStates});
}

TEST(OptimizerRule, SgdIsPyTorchs) {
  ExpectGolden(SgdOf(0.9, 0.1), true,
               {{0.497320741, -1.24398494, 1.9947474, -0.0858121291, 0.0009960077, 7.52128601,
                 -0.757592976, 0.299348742},
                {{0.177959561, -0.423597872, 0.541430056, 1.69562161, 0.000313317112, 0.752301693,
                  0.0951779783, 0.0769543201}}});
  ExpectGolden(SgdOf(0, 0.1), true,
               {{0.498326063, -1.24621475, 1.9965018, -0.0631703436, 0.0009974516, 7.51086283,
                 -0.754283786, 0.299555212},
                {}});
}

// The formula of arXiv:2302.06675 (algorithm 2), in double.
Golden LionAfterThreeSteps(const Lion& o, bool decayed) {
  Golden golden = {{kWeights.begin(), kWeights.end()}, {std::vector<double>(kCount)}};
  for (int t = 0; t < 3; ++t) {
    for (int i = 0; i < kCount; ++i) {
      const double g = kGradient[i] * (1 - 0.75 * t) * 0.8;
      double& w = golden.weights[i];
      double& m = golden.states[0][i];
      const double c = o.beta1() * m + (1 - o.beta1()) * g;
      const double sign = c > 0 ? 1 : c < 0 ? -1 : 0;
      w -= kRates[t] * (sign + (decayed ? o.weight_decay() : 0) * w);
      m = o.beta2() * m + (1 - o.beta2()) * g;
    }
  }
  return golden;
}

// In the third step the gradient has turned, and the momentum of the directions outweighs it.
TEST(OptimizerRule, LionIsItsPapers) {
  const Optimizer optimizer = LionOf(0.1);
  for (const bool decayed : {true, false}) {
    const Golden golden = LionAfterThreeSteps(optimizer.lion(), decayed);
    EXPECT_EQ(golden.weights[2] == kWeights[2], !decayed);  // no gradient: no direction
    ExpectGolden(optimizer, decayed, golden);
  }
}

// The update of one element, written out.
void NaiveAdamW(const AdamW& o, const StepUpdate& u, float gradient, float* w, float* m, float* v) {
  const double t = static_cast<double>(u.step) + 1;
  const float g = gradient * static_cast<float>(u.clip_factor);
  *w *= static_cast<float>(1 - u.learning_rate * o.weight_decay());
  *m = *m * static_cast<float>(o.beta1()) + static_cast<float>(1 - o.beta1()) * g;
  *v = *v * static_cast<float>(o.beta2()) + static_cast<float>(1 - o.beta2()) * g * g;
  const float root = static_cast<float>(std::sqrt(1 - std::pow(o.beta2(), t)));
  const float denominator = std::sqrt(*v) / root + static_cast<float>(o.eps());
  const float step_size = static_cast<float>(u.learning_rate / (1 - std::pow(o.beta1(), t)));
  *w -= step_size * *m / denominator;
}

void NaiveLion(const Lion& o, const StepUpdate& u, float gradient, float* w, float* m) {
  const float g = gradient * static_cast<float>(u.clip_factor);
  const float c = *m * static_cast<float>(o.beta1()) + static_cast<float>(1 - o.beta1()) * g;
  const float rate = static_cast<float>(u.learning_rate);
  *w *= static_cast<float>(1 - u.learning_rate * o.weight_decay());
  if (c != 0) *w -= std::copysign(rate, c);
  *m = *m * static_cast<float>(o.beta2()) + static_cast<float>(1 - o.beta2()) * g;
}

// Arrays of a tile: weights and then states.
using Arrays = std::vector<std::vector<float>>;

// Sizes around a SIMD vector and around a piece; one thread and three; all equal the naive loop,
// which changes element i of the arrays by a gradient.
void ExpectNaive(const Optimizer& optimizer, size_t states, const StepUpdate& update,
                 const std::function<void(float gradient, size_t i, Arrays&)>& naive) {
  Serial serial;
  WorkerPool pool(3);
  for (const size_t n : {1, 3, 15, 16, 17, 65535, 65536, 65537, 200001}) {
    Arrays before(1 + states, std::vector<float>(n));
    std::vector<float> gradient(n);
    for (size_t i = 0; i < n; ++i) {
      const float x = static_cast<float>(i);
      before[0][i] = std::sin(x);
      if (states > 0) before[1][i] = 0.1f * std::cos(3 * x);
      if (states > 1) before[2][i] = 0.01f * std::sin(x) * std::sin(x);
      gradient[i] = std::cos(7 * x);
    }
    Arrays want = before;
    for (size_t i = 0; i < n; ++i) naive(gradient[i], i, want);
    for (Parallel* parallel : {static_cast<Parallel*>(&serial), static_cast<Parallel*>(&pool)}) {
      Arrays got = before;
      std::vector<std::byte*> pointers;
      for (size_t s = 0; s < states; ++s) {
        pointers.push_back(reinterpret_cast<std::byte*>(got[1 + s].data()));
      }
      ApplyUpdate(optimizer, update, {n, true, gradient.data(), got[0].data(), pointers},
                  *parallel);
      EXPECT_EQ(got, want) << n;
    }
  }
}

TEST(OptimizerRule, BitsDoNotDependOnVectorsPiecesOrThreads) {
  const StepUpdate update = {4, 0.7, 3e-4};
  const Optimizer adamw = AdamWOf(0.1);
  ExpectNaive(adamw, 2, update, [&](float gradient, size_t i, Arrays& a) {
    NaiveAdamW(adamw.adamw(), update, gradient, &a[0][i], &a[1][i], &a[2][i]);
  });
  const Optimizer lion = LionOf(0.1);
  ExpectNaive(lion, 1, update, [&](float gradient, size_t i, Arrays& a) {
    NaiveLion(lion.lion(), update, gradient, &a[0][i], &a[1][i]);
  });
}

}  // namespace
}  // namespace waferstream
