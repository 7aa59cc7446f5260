// The learning rate of every step of a training: the optimizer's own, amended, shaped by
// training.schedule and training.rewarm.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "proto/job.pb.h"

namespace waferstream {

// The name of the optimizer that a training has, as training.optimizer says it: "adamw".
const char* OptimizerName(const Optimizer& optimizer);

// Of 0-based `step`. Muon's is of the matrices that it makes orthogonal; LearningRateOfRest has the
// others'.
double LearningRateOf(const TrainingSpec& training, uint64_t step);

// Muon's `rest`, at the step whose learning rate is `learning_rate`: the same shape, from its own
// height.
double LearningRateOfRest(const Muon& muon, double learning_rate);

// INVALID_ARGUMENT, naming the key: a schedule whose parts are longer than the training, or a new
// warm-up that no step is part of.
absl::Status CheckLearningRate(const TrainingSpec& training);

}  // namespace waferstream
