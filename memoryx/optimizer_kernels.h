// One optimizer update of an array of parameters, element by element: the same bits for any
// partition of the array and any SIMD width. No multiplication is ever fused with an addition.
#pragma once

#include <cstddef>

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

// gradient, weights, exp_avg, exp_avg_sq: n elements each.
void UpdateAdamW(const AdamWFactors& f, size_t n, const float* gradient, float* weights,
                 float* exp_avg, float* exp_avg_sq);

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

}  // namespace waferstream
