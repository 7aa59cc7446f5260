// The folder that holds a job's checkpoints: names, listing, cleaning up.
//
//   <dir>/step-000100/                          sealed: complete, hashed, never changed again
//   <dir>/.partial-<job id>-e3/step-000200/     being written by epoch 3 of the membership
//   <dir>/.removed-<job id>-e3/                 on its way out, or left behind by a crash
//   <dir>/damaged-step-000300/                  moved aside for a sealed one of its name
//
// The epoch's folder is the fence between epochs. A process of an older epoch may be stopped at any
// instruction and wake up much later. What it can do then: write into files that it has open, which
// nobody else reads; remove folders of epochs not newer than its own.
// What it cannot do, because each of these is one rename out of or into its own epoch's folder, and
// BeginEpoch of the newer epoch has taken that away: give a checkpoint its final name, or remove a
// sealed one. Nor can it begin another checkpoint or finish one: nobody but BeginEpoch creates the
// epoch's folder. Whose the whole of it is: ownership.h. What is of another job is never touched,
// but for what those that the job goes on from left unfinished.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/disk.h"
#include "checkpoint/manifest.h"

namespace waferstream {

// "<dir>/step-000100".
std::string StepFolder(const std::string& dir, uint64_t steps_done);

// Everything that the epoch writes before it is sealed lies in here.
std::string EpochFolder(const std::string& dir, const WriterEpoch& epoch);

// The steps that the name of a checkpoint's folder says; nullopt: it is none.
std::optional<uint64_t> StepsOfName(absl::string_view name);

// Where a checkpoint of no epoch is written before it gets the name `folder`: beside it. `tag`
// keeps apart those who do so at the same time.
std::string PartialBeside(const std::string& folder, absl::string_view tag);

struct CheckpointEntry {
  std::string path;
  Manifest manifest;
};

// The sealed checkpoints of a folder in order of steps; empty when there is no such folder. One
// whose manifest cannot be read is left out.
absl::StatusOr<std::vector<CheckpointEntry>> ListCheckpoints(Disk& disk, const std::string& dir);

// Makes the epoch the one that writes in `dir`, which its job has claimed (ownership.h): removes
// what older epochs and crashes of the job and its ancestors left behind, and creates an empty
// EpochFolder. By one process, before any of the epoch writes.
absl::Status BeginEpoch(Disk& disk, const std::string& dir, const WriterEpoch& epoch,
                        const std::vector<std::string>& ancestors = {});

// Removes what the job and its ancestors never sealed, but nothing that a newer epoch of the job
// writes.
absl::Status RemovePartialFolders(Disk& disk, const std::string& dir, const WriterEpoch& epoch,
                                  const std::vector<std::string>& ancestors = {});

// Gives a complete partial folder its final name, durably. An older folder of that name is swapped
// out in the same atomic step and then removed. After an error either of them may have the name.
absl::Status PublishFolder(Disk& disk, const std::string& partial, const std::string& folder);

// The same, but nothing is replaced. ALREADY_EXISTS: somebody was there before.
absl::Status PublishNewFolder(Disk& disk, const std::string& partial, const std::string& folder);

// Takes a damaged checkpoint's name away, and returns its new path, beside the old one.
absl::StatusOr<std::string> MoveAside(Disk& disk, const std::string& folder);

// Removes a sealed checkpoint: it stops being one in one atomic step, by a rename into `trash`.
// NOT_FOUND: there is no folder `trash`.
absl::Status RetireFolder(Disk& disk, const std::string& folder, const std::string& trash);

}  // namespace waferstream
