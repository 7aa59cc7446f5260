// The ids of jobs: "job-12-k3f9q2v7x1m0a", the 12th job of its controller and 64 random bits.
//
// The number is for people; the bits make the id unique in the world, so that what a job writes
// (its checkpoints, its claim on a folder) and what nodes hold of it is never taken for another
// controller's. Nothing that is computed depends on an id. Older stores have "j-000012".
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace waferstream {

struct JobIdentity {
  uint64_t number = 0;  // counts the jobs of one state directory, from 1
  std::string job_id;
  std::string user = {};  // whose it is; empty: nobody's in particular
};

// `tag`: the random part, in letters and digits.
JobIdentity MakeJobIdentity(uint64_t number, absl::string_view tag);

// Whether somebody who says `name` may mean this job: it is the id, or its beginning, with the
// whole number: "job-1" is never "job-12-...".
bool MayMean(absl::string_view name, absl::string_view job_id);

// Orders job ids by number.
struct OlderJobFirst {
  bool operator()(const std::string& a, const std::string& b) const;
};

}  // namespace waferstream
