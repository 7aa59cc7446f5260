// One optimizer update of an array of parameters, element by element: the same bits for any
// partition of the array and any SIMD width. No multiplication is ever fused with an addition.
#pragma once

#include <cstddef>

#include "base/memory_sum.h"

namespace waferstream {

// PyTorch's AdamW, its step-dependent factors worked out in double and rounded once.
struct AdamWFactors {
  float clip;  // of the gradient
  float keep;  // 1 - learning rate * weight decay; 1 where nothing is decayed
  float beta1;
  float beta1_rest;  // 1 - beta1
  float beta2;
  float beta2_rest;  // 1 - beta2
  float bias2_root;  // sqrt(1 - beta2^t)
  float eps;
  float step_size;  // learning rate / (1 - beta1^t)
};

inline constexpr size_t kAdamWArrays = 3;

// gradient, weights, exp_avg, exp_avg_sq: n elements each. Adds what the last three were before to
// `before`, kAdamWArrays of them: the update waits for memory, and sums cost little meanwhile.
void UpdateAdamW(const AdamWFactors& f, size_t n, const float* gradient, float* weights,
                 float* exp_avg, float* exp_avg_sq, MemorySums* before);

// PyTorch's SGD: the weight decay is added to the gradient; no dampening, no Nesterov.
struct SgdFactors {
  float clip;
  float weight_decay;
  float momentum;
  float learning_rate;
};

// `momentum` is null when the factor is 0. It starts as zeros, so the first update sets it to the
// gradient.
void UpdateSgd(const SgdFactors& f, size_t n, const float* gradient, float* weights,
               float* momentum);

// Lion's (arXiv:2302.06675). 1 - beta is taken in double, then rounded.
struct LionFactors {
  float clip;
  float keep;  // as AdamW's
  float beta1;
  float beta1_rest;
  float beta2;
  float beta2_rest;
  float learning_rate;
};

// The weights go by the learning rate against the sign of beta1 * exp_avg + (1 - beta1) * gradient,
// and nowhere where that is 0; exp_avg takes beta2.
void UpdateLion(const LionFactors& f, size_t n, const float* gradient, float* weights,
                float* exp_avg);

// Adafactor's (arXiv:1804.04235), as PyTorch has it. A row of a matrix goes in the direction
//   clip * gradient[i] / sqrt(max(row * columns[i], floor))
struct AdafactorFactors {
  float clip;
  float keep;  // as AdamW's
  float floor;
  float step_size;
};

// The directions of n elements of a row.
void AdafactorDirection(const AdafactorFactors& f, float row, size_t n, const float* gradient,
                        const float* columns, float* direction);
// keep * weights - step_size * direction.
void UpdateAdafactor(const AdafactorFactors& f, float row, size_t n, const float* gradient,
                     const float* columns, float* weights);

// Muon's momentum, with Nesterov's look ahead, as PyTorch has it.
struct MuonFactors {
  float clip;
  float momentum;
  float momentum_rest;  // 1 - momentum
};

// Moves `momentum` towards the gradient, and gives what is to be made orthogonal: the gradient
// moved towards that.
void MoveMomentum(const MuonFactors& f, size_t n, const float* gradient, float* momentum,
                  float* direction);

// weights = keep * weights - step_size * direction.
void Step(float keep, float step_size, size_t n, const float* direction, float* weights);

}  // namespace waferstream
