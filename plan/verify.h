// Which micro-batches are computed on two wafers and compared by hash, so that a machine that
// computes wrongly without knowing it ("a lying node") is found before its gradients are committed.
//
// training.verify is the chance of a micro-batch to be sampled. A sampled one is computed by its
// own wafer, whose gradients count, and by another one, which only hashes its own: the checker. A
// wafer has room for one further micro-batch (Plan::verify_slots) and so checks at most one a wave:
// what is really verified is at most wafers * waves / leaves of the micro-batches.
//
// Pure functions: a wafer knows from (plan, position) what it checks, and the controller what to
// expect.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/plan.h"

namespace waferstream {

// `leaf` belongs to wafer `owner`, and wafer `checker` computes it too.
struct Check {
  int leaf = 0;
  int owner = 0;
  int checker = 0;
  friend bool operator==(const Check&, const Check&) = default;
};

// The checks of one wave of a training step; no wafer is the checker of two. None when the plan has
// no verify slot.
//
// `disputed` (of a step that is done again because hashes differed; else empty): the first of these
// leaves that is computed in this wave is checked by every other wafer, in place of what was
// sampled. Otherwise each sampled leaf goes to the next wafer after its own, cyclically, that does
// not check yet. When there are more of them than checkers, chance decides which are left out, so
// that no wafer is out of sight for long.
std::vector<Check> ChecksOf(const Plan& plan, uint64_t step, int wave,
                            const std::vector<uint32_t>& disputed = {});

// The most of all micro-batches of a step that can be expected to be verified.
double VerifiedShare(const Plan& plan);

}  // namespace waferstream
