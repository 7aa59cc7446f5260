// What a job's state means.
#pragma once

#include "proto/controller.pb.h"

namespace waferstream {

// Whether the job is over: it stays as it is.
constexpr bool IsFinal(JobState state) {
  return state == DONE || state == FAILED || state == CANCELLED;
}

}  // namespace waferstream
