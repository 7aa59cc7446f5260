// What an op takes, roughly.
#pragma once

#include <cstdint>

#include "plan/plan.h"
#include "wafer_node/wave.h"

namespace waferstream {

// Nanoseconds on one thread of a CPU of today, for ComputeAction::about_ns: to tell microseconds
// from milliseconds, and no more.
uint64_t AboutNs(const Plan& plan, const Wave& wave, const Op& op);

}  // namespace waferstream
