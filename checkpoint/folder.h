// The folder that holds a job's checkpoints: names, listing, cleaning up.
//
//   <dir>/step-000100/           sealed: complete, hashed, never changed again
//   <dir>/.partial-step-000200/  being written, or left behind by a crash; nobody reads it
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/manifest.h"

namespace waferstream {

std::string SealedFolder(const std::string& dir, uint64_t steps_done);

// Where something is written before it gets the name `folder`: beside it, so that a rename does it.
std::string PartialFolder(const std::string& folder);

struct CheckpointEntry {
  std::string path;
  Manifest manifest;
};

// The sealed checkpoints of a folder in order of steps; empty when there is no such folder. One
// whose manifest cannot be read is left out.
absl::StatusOr<std::vector<CheckpointEntry>> ListCheckpoints(const std::string& dir);

// Removes what crashes left behind. Only while nobody writes a checkpoint in this folder.
absl::Status RemovePartialFolders(const std::string& dir);

absl::Status RemoveFolder(const std::string& folder);

// Gives a complete partial folder its final name, durably. An older folder of that name is swapped
// out in the same atomic step and then removed.
absl::Status PublishFolder(const std::string& partial, const std::string& folder);

}  // namespace waferstream
