// Fits a job into the SRAM of its wafers: how much is recomputed, how many micro-batches are
// resident at once, and so how many waves a step takes.
#pragma once

#include "absl/status/status.h"
#include "plan/plan.h"

namespace waferstream {

// Sets the policy, and the program and places that follow from it. Needs the tables.
void SetPolicy(Plan& plan, const KeepPolicy& policy);

// Sets policy, program, places, resident_max, waves, validation_waves and sram. Needs the tables
// (plan/tables.h).
//
// RECOMPUTE_AUTO takes the least recomputation with which a step is one wave; if there is none, the
// least with which one micro-batch fits at all.
// RESOURCE_EXHAUSTED: not even one micro-batch fits; names what fills the SRAM and what would fit.
//
// Logits are kept where the SRAM has room for them beside all that.
absl::Status FitIntoSram(Plan& plan);

}  // namespace waferstream
