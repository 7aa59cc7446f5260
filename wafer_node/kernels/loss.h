// Cross-entropy over a vocabulary that arrives in tiles, so that no [tokens, vocabulary] matrix
// need exist. Single-threaded; rows are independent.
//
//   forward    StartLoss; for every tile, in order: logits by Gemm, then UpdateLoss; FinishLoss
//   backward   for every tile: the same logits, kept or made again, then LossBackward
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

// The states of rows, one after the other: `floats` each. The first are a RowLoss; behind it there
// may be one more, the sum of the logits, which a smoothed loss needs.
struct RowLosses {
  float* data = nullptr;
  int64_t floats = sizeof(RowLoss) / sizeof(float);

  RowLoss& At(int64_t row) const { return *reinterpret_cast<RowLoss*>(data + row * floats); }
  // nullptr: it is not kept.
  float* LogitSum(int64_t row) const {
    constexpr int64_t kFloats = sizeof(RowLoss) / sizeof(float);
    return floats > kFloats ? data + row * floats + kFloats : nullptr;
  }
};

// What a loss has beside the cross-entropy: (1 - s) * (lse - target's logit) + s * (lse - mean of
// the logits) + z * lse^2.
struct LossTerms {
  double smoothing = 0;  // s
  double z_loss = 0;     // z
  int64_t vocab = 0;     // of which the mean is taken
};

// Logits of ids [first_id, first_id + ids) for `rows` tokens, row-major fp32.
struct LogitsBlock {
  int64_t rows = 0;
  int64_t ids = 0;
  int64_t first_id = 0;
  const float* logits = nullptr;  // [rows, ids]
  int64_t stride = 0;
};

void StartLoss(int64_t rows, const RowLosses& state);

// targets [rows] are ids, or kNoTarget. state [rows]. A logit that is NaN or infinite makes the
// row's loss so.
void UpdateLoss(const LogitsBlock& block, const int32_t* targets, const RowLosses& state);

// lse [rows] = log-sum-exp of all logits; loss [rows] as the terms say, and 0 without a target. The
// state has the sum of the logits if the loss is smoothed.
void FinishLoss(int64_t rows, const int32_t* targets, const RowLosses& state,
                const LossTerms& terms, float* lse, float* loss);

// d_logits [rows, ids] (`stride` elements a row, of `dtype`) = the loss's gradient times scale:
// without further terms (softmax - onehot(target)) * scale. May overwrite the logits, when fp32.
void LossBackward(const LogitsBlock& block, const int32_t* targets, const float* lse,
                  const LossTerms& terms, float scale, Dtype dtype, void* d_logits, int64_t stride);

}  // namespace waferstream
