// What a job starts from: said before it starts, so that nothing starts over in silence.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "checkpoint/manifest.h"
#include "proto/job.pb.h"

namespace waferstream {

// The checkpoint that `folder` is. Without a manifest: another system's, or an export; a job starts
// at step 0 from its weights. DATA_LOSS: its manifest is damaged, or is missing beside optimizer
// state, which only this system writes.
absl::StatusOr<std::optional<Manifest>> ReadOrigin(Disk& disk, const std::string& folder);

// The step that a job begins with when it starts there: 0 with checkpoint.weights_only.
uint64_t StartStep(const JobSpec& job, const std::optional<Manifest>& origin);

// The jobs that a job goes on from when it starts there: whoever wrote it, and what that went on
// from.
std::vector<std::string> AncestorsBy(const std::optional<Manifest>& origin);

// "goes on from DIR: step 6 of job moss (job-1-...), optimizer state included", one line.
std::string DescribeOrigin(const JobSpec& job, const std::optional<Manifest>& origin);

// "moss (job-1-...)"; the name alone of a manifest without an id.
std::string WriterOf(const Manifest& manifest);

}  // namespace waferstream
