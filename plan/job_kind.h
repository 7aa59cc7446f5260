// What a job is for: training, the evaluation of a checkpoint, or a generation from one.
#pragma once

#include "proto/job.pb.h"

namespace waferstream {

// The others make no gradients, keep no optimizer state and write no checkpoint.
inline bool Trains(const JobSpec& job) { return !job.has_generate() && job.training().steps() > 0; }

// Nothing but one validation, with the weights of checkpoint.from.
inline bool Evaluates(const JobSpec& job) {
  return !job.has_generate() && job.training().steps() == 0;
}

}  // namespace waferstream
