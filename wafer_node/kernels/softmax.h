// The part of attention between its matrix products: one block of queries against all keys up to
// the block's end. Single-threaded.
#pragma once

#include <cstdint>

#include "base/dtype.h"

namespace waferstream {

// Rows are queries first_query.., columns are keys first_key.. up to the last query. A query sees
// `window` keys (0: all), itself the last of them; every matrix here is [queries, keys].
struct ScoreBlock {
  int64_t first_query = 0;
  int64_t first_key = 0;
  int64_t window = 0;
  int64_t queries = 0;
  float scale = 1;  // of the scores
  float* scores = nullptr;
  int64_t stride = 0;  // elements of a row of every matrix here, of which keys() count
  int64_t keys() const { return first_query + queries - first_key; }
};

// probabilities (of `dtype`) = causal softmax of the scaled scores, zero for keys that are not
// seen.
// lse [queries] = log-sum-exp of the scaled scores. Overwrites the scores; fp32 probabilities may
// take their place.
void CausalSoftmax(const ScoreBlock& block, Dtype dtype, void* probabilities, float* lse);

// Recomputes the probabilities from lse and turns d_probabilities, the gradient with respect to
// them, into d_scores (of `dtype`), that with respect to the unscaled scores.
// Overwrites the scores; in fp32, probabilities may take their place, and d_scores that of
// d_probabilities.
void CausalSoftmaxBackward(const ScoreBlock& block, const float* lse, const float* d_probabilities,
                           Dtype dtype, void* probabilities, void* d_scores);

}  // namespace waferstream
