// What two epochs say together: the one that found something wrong, and the one that did the step
// again to learn why.
//
// Pure. Thread-safe.
#pragma once

#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "controller/epoch_end.h"

namespace waferstream {

struct LiarsFound {
  std::set<std::string> liars;  // ids of the nodes that computed wrong, in either epoch
  std::string evidence;         // for people: the micro-batch, its true hash, who said what
};

// Who computed a disputed micro-batch wrong. `again` has one vote more than `first`.
// NOT_FOUND, with what a person may do about it: no two wafers agree.
absl::StatusOr<LiarsFound> FindLiars(const Dispute& first, const Dispute& again);

// What a person is told of numbers that are not finite: where they came from, and whether the
// machine or the model made them. `again.what` is empty if they were finite when computed again,
// which was on other wafers unless the job has `wafers` < 2.
std::string ReportOf(const BadNumbers& first, const BadNumbers& again, int wafers);

}  // namespace waferstream
