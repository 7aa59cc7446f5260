// What the next step's bits depend on: one list, and what differs between two ends of it. A run
// that goes on from a checkpoint, and a job whose controller or nodes are others than before, are
// checked by it. docs/CHECKPOINTS.md prints it.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "proto/job.pb.h"

namespace waferstream {

// With what weights were, or are to be, computed. An empty kernel_isa is not known.
struct Circumstances {
  JobSpec job;
  std::string kernel_isa;
  uint32_t numerics;  // base/version.h
};

struct Difference {
  std::string key;  // of DependencyKeys()
  std::string was;
  std::string is;
};

struct Differences {
  std::vector<Difference> found;
  std::vector<std::string> unknown;  // keys of which `was` does not say anything: it is older
};

// Whether the weights after a step depend on this key of the job file (plan/job_keys.h).
bool IsNumerics(absl::string_view path);

// Everything that DifferencesThatMatter may name, in its order: keys of the job file, optional
// sections of it, kernel_isa, numerics.
const std::vector<std::string>& DependencyKeys();

// INVALID_ARGUMENT, naming `field`: one of `keys` is not among DependencyKeys().
absl::Status CheckAccept(const char* field, const std::vector<std::string>& keys);

// What makes the weights after some step > 0 of the one differ from those of the other, had both
// run from the beginning. Not counted: the number of steps where no schedule depends on it, how the
// data is called (its content counts), and amendments, which whoever goes on takes over.
Differences DifferencesThatMatter(const Circumstances& was, const Circumstances& is);

}  // namespace waferstream
