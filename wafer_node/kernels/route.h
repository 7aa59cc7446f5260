// The router of a mixture of experts: which experts each token goes to, and what each weighs. All
// in fp32; single-threaded; tokens are independent, except in what is counted of all.
#pragma once

#include <cstdint>

namespace waferstream {

// T tokens, E experts of which each token has K. A token's copies stand with its experts': expert
// after expert, and in the order of tokens within one.
struct RouteOptions {
  int64_t tokens = 0;
  int64_t experts = 0;     // at most kExpertsMax
  int64_t chosen = 0;      // of each token
  bool norm_topk = false;  // its weights add up to 1
};

struct Routing {
  float* weights;    // [T, K] probabilities of the chosen experts, from the largest on
  int32_t* choices;  // [T, 2 K] the chosen experts; then, of each, which of the T * K copies is its
  int32_t* ends;     // [E] behind the last copy of every expert
  float* load;       // [2 E] copies of every expert; then, of each, its probabilities' sum
};

// Softmax of every row of logits [T, E], and its K largest, the first of equal ones.
void Route(const RouteOptions& options, const float* logits, const Routing& routing);

// Sets d_logits [T, E], given that of the weights [T, K]; `balance` [E], or nullptr, is a gradient
// that every probability of an expert has beside.
void RouteBackward(const RouteOptions& options, const float* logits, const int32_t* choices,
                   const float* d_weights, const float* balance, float* d_logits);

}  // namespace waferstream
