// What a job is for: training, the evaluation of a checkpoint, or a generation from one.
#pragma once

#include <algorithm>
#include <cstdint>

#include "proto/job.pb.h"

namespace waferstream {

// The others make no gradients, keep no optimizer state and write no checkpoint.
inline bool Trains(const JobSpec& job) { return !job.has_generate() && job.training().steps() > 0; }

// Nothing but one validation, with the weights of checkpoint.from.
inline bool Evaluates(const JobSpec& job) {
  return !job.has_generate() && job.training().steps() == 0;
}

// Steps after which the training ends: training.steps, or where it was stopped early.
inline uint64_t LastStep(const TrainingSpec& training) {
  uint64_t steps = training.steps();
  for (const Amendment& amendment : training.amendments()) {
    if (amendment.end()) steps = std::min<uint64_t>(steps, amendment.from_step());
  }
  return steps;
}

}  // namespace waferstream
