// GPT-2's loss in double precision, written as plainly as possible: what the wafer is measured
// against. For tests; slow.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "proto/job.pb.h"

namespace waferstream {

// Row-major [rows = output features, cols] by Hugging Face name.
using NaiveWeights = std::map<std::string, std::vector<double>>;

// Logits [tokens, vocab] of one sequence.
std::vector<double> NaiveLogits(const ModelSpec& model, const NaiveWeights& weights,
                                const std::vector<int32_t>& ids);

// Sum over the tokens of one sequence of the cross-entropy, in nats.
double NaiveLoss(const ModelSpec& model, const NaiveWeights& weights,
                 const std::vector<int32_t>& ids, const std::vector<int32_t>& targets);

}  // namespace waferstream
