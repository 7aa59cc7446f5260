// Adafactor and Muon, which take a tensor whole.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "base/worker_pool.h"
#include "hwy/targets.h"
#include "memoryx/muon.h"
#include "memoryx/optimizer_rule.h"

namespace waferstream {
namespace {

constexpr double kRates[] = {1e-2, 5e-3, 2.5e-3};

std::vector<float> Numbers(size_t n, double phase) {
  std::vector<float> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = static_cast<float>(std::sin(phase + 1.7 * i));
  return x;
}

struct Tensor {
  size_t rows, cols;
  bool two_dimensional = true;
  bool orthogonal = false;
};

// Weights, then states.
using Arrays = std::vector<std::vector<float>>;

// Three steps from weights and gradients that are waves, clipped by 0.8.
Arrays AfterThreeSteps(const Optimizer& optimizer, const Tensor& tensor,
                       const std::vector<size_t>& states, Parallel& parallel) {
  const size_t n = tensor.rows * tensor.cols, least = std::min(tensor.rows, tensor.cols);
  Arrays arrays = {Numbers(n, 0.3)};
  for (const size_t elements : states) arrays.emplace_back(elements);
  std::vector<std::byte*> pointers;
  for (size_t s = 1; s < arrays.size(); ++s) {
    pointers.push_back(reinterpret_cast<std::byte*>(arrays[s].data()));
  }
  std::vector<float> workspace(2 * n + 2 * least * least, NAN);
  for (uint64_t t = 0; t < 3; ++t) {
    const std::vector<float> gradient = Numbers(n, 1.1 + static_cast<double>(t));
    ApplyUpdate(optimizer, {t, 0.8, kRates[t]},
                {.elements = n,
                 .decayed = true,
                 .gradient = gradient.data(),
                 .weights = arrays[0].data(),
                 .states = pointers,
                 .rows = tensor.rows,
                 .two_dimensional = tensor.two_dimensional,
                 .orthogonal = tensor.orthogonal,
                 .workspace = workspace.data()},
                parallel);
  }
  return arrays;
}

void ExpectNear(const std::vector<float>& got, const std::vector<double>& want, double bound) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], bound) << i;
}

Optimizer AdafactorOf(double weight_decay, double clip_threshold = 1) {
  Optimizer optimizer;
  Adafactor* adafactor = optimizer.mutable_adafactor();
  adafactor->set_beta2_decay(-0.8);
  adafactor->set_eps(1e-3);
  adafactor->set_clip_threshold(clip_threshold);
  adafactor->set_weight_decay(weight_decay);
  return optimizer;
}

Optimizer MuonOf() {
  Optimizer optimizer;
  Muon* muon = optimizer.mutable_muon();
  muon->set_lr(1e-2);
  muon->set_momentum(0.9);
  muon->set_weight_decay(0.1);
  AdamW* rest = muon->mutable_rest();
  rest->set_lr(1e-3);
  rest->set_beta1(0.9);
  rest->set_beta2(0.95);
  rest->set_eps(1e-8);
  rest->set_weight_decay(0.1);
  return optimizer;
}

// Computed with PyTorch 2.15's torch.optim, as are those below. A few roundings of fp32 apart.
constexpr double kRoundings = 4e-7;

TEST(WholeTileRules, AdafactorIsPyTorchsOfAMatrix) {
  Serial serial;
  const Arrays got = AfterThreeSteps(AdafactorOf(0.1), {3, 4}, {3, 4}, serial);
  ExpectNear(got[0],
             {0.283969611, 0.907272458, -0.517945766, -0.775932133, 0.719232738, 0.592865288,
              -0.871234894, -0.36873275, 0.966362059, 0.123070434, -0.996622801, 0.135057643},
             kRoundings);
  ExpectNear(got[1], {0.323102564, 0.316701323, 0.313521534}, kRoundings);
  ExpectNear(got[2], {0.285298318, 0.352240026, 0.292362571, 0.341199666}, kRoundings);
}

TEST(WholeTileRules, AdafactorIsPyTorchsOfAVector) {
  Serial serial;
  const Arrays got =
      AfterThreeSteps(AdafactorOf(0), {5, 1, /*two_dimensional=*/false}, {5}, serial);
  ExpectNear(got[0], {0.285359621, 0.908638775, -0.520793498, -0.772349834, 0.721164703},
             kRoundings);
  ExpectNear(got[1], {0.28714484, 0.362066805, 0.271514952, 0.371683717, 0.268549651}, kRoundings);
}

// Half of what a step is large: the threshold of half halves it.
TEST(WholeTileRules, AdafactorClipsWhatIsLargerThanItsThreshold) {
  Serial serial;
  const std::vector<float> before = Numbers(12, 0.3), gradient = Numbers(12, 1.1);
  const auto change = [&](double threshold) {
    std::vector<float> weights = before, rows(3), columns(4);
    std::byte* const states[] = {reinterpret_cast<std::byte*>(rows.data()),
                                 reinterpret_cast<std::byte*>(columns.data())};
    ApplyUpdate(AdafactorOf(0, threshold), {0, 1, 1e-2},
                {.elements = 12,
                 .gradient = gradient.data(),
                 .weights = weights.data(),
                 .states = states,
                 .rows = 3,
                 .two_dimensional = true},
                serial);
    return weights[5] - before[5];
  };
  EXPECT_NEAR(change(0.25) / change(0.5), 0.5, 1e-4);
  EXPECT_EQ(change(100), change(200));
}

struct MuonGolden {
  Tensor tensor;
  std::vector<double> in_bf16;  // as it is
  std::vector<double> in_fp32;  // with the steps of Newton and Schulz in fp32
};

// The momentum is the same: it is element by element.
const std::vector<double> kMomentum = {0.123227768,   -0.102039702, -0.0969332531, 0.127018347,
                                       0.0642020255,  -0.143562511, -0.0272075515, 0.150573581,
                                       -0.0115935989, -0.147586048, 0.0496248975,  0.134798259,
                                       -0.0843609199, -0.113059364, 0.113495082};

TEST(WholeTileRules, MuonIsPyTorchs) {
  const MuonGolden goldens[] = {
      {{3, 5, true, true},
       {0.285860687, 0.907696545, -0.521637797, -0.773693264, 0.721030235, 0.58624804, -0.872155726,
        -0.363713205, 0.965424061, 0.115042403, -0.995880008, 0.141215846, 0.957662761, -0.38831228,
        -0.857513607},
       {0.287121773, 0.907953084, -0.521091223, -0.773673713, 0.720458329, 0.587714434,
        -0.871760011, -0.363071382, 0.965319395, 0.114319123, -0.994743764, 0.141666621,
        0.958237827, -0.388594031, -0.858101547}},
      {{5, 3, true, true},
       {0.28200382, 0.907059789, -0.522242546, -0.771055877, 0.720377505, 0.592488229, -0.873850822,
        -0.364861339, 0.960965395, 0.117016658, -0.994476974, 0.140589058, 0.959019363,
        -0.387759596, -0.858031988},
       {0.285064518, 0.907900393, -0.519020736, -0.774515092, 0.719683647, 0.589060605,
        -0.870563686, -0.363851666, 0.964324176, 0.116407648, -0.994739413, 0.13992542, 0.958562851,
        -0.388126999, -0.858546674}},
  };
  Serial serial;
  for (const MuonGolden& golden : goldens) {
    const Arrays got = AfterThreeSteps(MuonOf(), golden.tensor, {15}, serial);
    ExpectNear(got[0], golden.in_fp32, 2e-6);
    ExpectNear(got[1], kMomentum, kRoundings);
    // The three steps together move an element by up to 0.0175. With the 8 bits of bf16 PyTorch's
    // own differ by a fifth of that.
    ExpectNear(got[0], golden.in_bf16, 3.6e-3);
  }
}

TEST(WholeTileRules, MuonTrainsTheRestByAdamW) {
  Serial serial;
  const Tensor tensor = {3, 5};
  Optimizer adamw;
  *adamw.mutable_adamw() = MuonOf().muon().rest();
  const Arrays got = AfterThreeSteps(MuonOf(), tensor, {15, 15}, serial);
  Arrays want = AfterThreeSteps(adamw, tensor, {15, 15}, serial);
  EXPECT_EQ(got[1], want[1]);
  EXPECT_EQ(got[2], want[2]);
  EXPECT_NE(got[0], want[0]) << "a rate that is a tenth";
}

// Five steps take singular values that are not too small to between 0.68 and 1.13, so the product
// with the transpose is within 0.54 of the identity.
TEST(WholeTileRules, RowsBecomeOrthonormal) {
  Serial serial;
  constexpr size_t kRows = 20, kCols = 65;
  std::vector<float> matrix(kRows * kCols), workspace(kRows * kCols + 2 * kRows * kRows);
  for (size_t i = 0; i < matrix.size(); ++i) {
    matrix[i] = static_cast<float>(std::sin(static_cast<double>(i * i)));
  }
  const float* const x = Orthogonalise(serial, kRows, kCols, matrix.data(), workspace.data());
  for (size_t a = 0; a < kRows; ++a) {
    for (size_t b = 0; b < kRows; ++b) {
      double product = 0;
      for (size_t i = 0; i < kCols; ++i) product += double{x[a * kCols + i]} * x[b * kCols + i];
      EXPECT_NEAR(product, a == b ? 1 : 0, 0.54) << a << " " << b;
    }
  }
}

// Shapes around segments, pieces and parts; threads; vectors of every width that there is here.
TEST(WholeTileRules, BitsDoNotDependOnThreadsOrVectors) {
  struct Case {
    Optimizer optimizer;
    Tensor tensor;
    std::vector<size_t> states;
  };
  const std::vector<Case> cases = {
      {AdafactorOf(0.1), {9, 4097}, {9, 4097}},
      {AdafactorOf(0.1), {1030, 70}, {1030, 70}},
      {AdafactorOf(0.1), {70001, 1, false}, {70001}},
      {MuonOf(), {37, 300, true, true}, {37 * 300}},
      {MuonOf(), {261, 130, true, true}, {261 * 130}},
  };
  Serial serial;
  WorkerPool two(2), three(3);
  for (const Case& c : cases) {
    const Arrays want = AfterThreeSteps(c.optimizer, c.tensor, c.states, serial);
    EXPECT_EQ(AfterThreeSteps(c.optimizer, c.tensor, c.states, two), want);
    EXPECT_EQ(AfterThreeSteps(c.optimizer, c.tensor, c.states, three), want);
    for (int64_t rest = hwy::SupportedTargets(); rest != 0; rest &= rest - 1) {
      hwy::SetSupportedTargetsForTest(rest & -rest);
      hwy::GetChosenTarget().DeInit();
      EXPECT_EQ(AfterThreeSteps(c.optimizer, c.tensor, c.states, serial), want) << rest;
      hwy::SetSupportedTargetsForTest(0);
    }
    hwy::GetChosenTarget().DeInit();
  }
}

TEST(WholeTileRules, OnlyTheyNeedATileWhole) {
  EXPECT_FALSE(IsElementwise(AdafactorOf(0), false));
  EXPECT_FALSE(IsElementwise(MuonOf(), true));
  EXPECT_TRUE(IsElementwise(MuonOf(), false));
  Optimizer optimizer;
  optimizer.mutable_lion();
  EXPECT_TRUE(IsElementwise(optimizer, false));
}

}  // namespace
}  // namespace waferstream
