// The order of passes of a whole job. A pass is one stream of all weights through the wafers.
//
//   training:    for each step: for each wave: forward, backward;
//                then, when validation is due, one forward pass a validation wave
//   evaluation:  one forward pass a validation wave
//   generation:  one forward pass a token
#pragma once

#include <cstdint>
#include <optional>

#include "plan/plan.h"

namespace waferstream {

enum class PassKind : uint8_t { kForward = 0, kBackward = 1, kValidation = 2, kGenerate = 3 };

struct Pass {
  PassKind kind = PassKind::kForward;
  uint64_t step = 0;  // 0-based; for kValidation the step it follows, or 0; for kGenerate the token
  uint32_t wave = 0;
  friend bool operator==(const Pass&, const Pass&) = default;
};

// The first pass of a job that has done `start_step` steps; nullopt when nothing is left to do. A
// validation that is due after them is taken (again): whoever starts here cannot know that it was.
std::optional<Pass> FirstPass(const Plan& plan, uint64_t start_step);
std::optional<Pass> NextPass(const Plan& plan, const Pass& pass);

// The tiles of a pass, in order.
const std::vector<int>& StreamOf(const Plan& plan, PassKind kind);

// Whether the weights of this pass may only be sent after the commit of step `pass.step - 1` (first
// pass of a step) or of step `pass.step` (first validation wave); a MemoryX node waits there.
bool WaitsForCommit(const Pass& pass);

}  // namespace waferstream
