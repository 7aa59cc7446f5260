// Whether a checkpoint is what its manifest says, and which ones there are, the damaged ones
// included.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "checkpoint/manifest.h"

namespace waferstream {

enum class Depth {
  kSizes,  // the manifest, and that every file has the size that it says
  kBytes,  // and every byte, by its hash
};

// The manifest of a checkpoint that is whole. Else one line that names the file: NOT_FOUND: it has
// no manifest; DATA_LOSS: a file is missing, too short or long, or differs.
// Other errors are the disk's, which may pass.
absl::StatusOr<Manifest> InspectCheckpoint(Disk& disk, const std::string& folder, Depth depth);

// Whether such an error is about the checkpoint, not the disk.
bool IsDamage(const absl::Status& status);

// Recomputes the hashes of the manifest's files; reads every byte. DATA_LOSS names the one that
// differs.
absl::Status VerifyFiles(Disk& disk, const std::string& folder, const Manifest& manifest);

struct FoundCheckpoint {
  std::string path;
  uint64_t steps = 0;                 // by its name
  absl::StatusOr<Manifest> manifest;  // as InspectCheckpoint

  // "step-000008".
  std::string name() const;
};

// All that are called a checkpoint in a folder, in order of steps; none when there is no such
// folder.
absl::StatusOr<std::vector<FoundCheckpoint>> FindCheckpoints(Disk& disk, const std::string& dir,
                                                             Depth depth);

}  // namespace waferstream
