// Cross-entropy over a vocabulary that arrives in tiles, so that no [tokens, vocabulary] matrix
// exists. Single-threaded; rows are independent.
//
//   forward    StartLoss; for every tile, in order: logits by Gemm, then UpdateLoss; FinishLoss
//   backward   for every tile: the same logits again, then LossBackward
#pragma once

#include <cstdint>

#include "base/dtype.h"

namespace waferstream {

// In the place of a target: no loss is taken of the row, and it has no gradient.
inline constexpr int32_t kNoTarget = -1;

// What one row has seen so far of the vocabulary.
struct RowLoss {
  float max;     // of the logits
  float sum;     // of exp(logit - max)
  float target;  // the target's logit, once its tile has passed
};

// Logits of ids [first_id, first_id + ids) for `rows` tokens, row-major fp32.
struct LogitsBlock {
  int64_t rows = 0;
  int64_t ids = 0;
  int64_t first_id = 0;
  const float* logits = nullptr;  // [rows, ids]
  int64_t stride = 0;
};

void StartLoss(int64_t rows, RowLoss* state);

// targets [rows] are ids. state [rows]. A logit that is NaN or infinite makes the row's loss so.
void UpdateLoss(const LogitsBlock& block, const int32_t* targets, RowLoss* state);

// lse [rows] = log-sum-exp of all logits; loss [rows] = lse - target's logit.
void FinishLoss(int64_t rows, const RowLoss* state, float* lse, float* loss);

// d_logits [rows, ids] (`stride` elements a row, of `dtype`) = (softmax - onehot(target)) * scale.
// May overwrite the logits, when fp32.
void LossBackward(const LogitsBlock& block, const int32_t* targets, const float* lse, float scale,
                  Dtype dtype, void* d_logits, int64_t stride);

}  // namespace waferstream
