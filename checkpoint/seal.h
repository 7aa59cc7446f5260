// Makes a fully written checkpoint what readers may rely on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/folder.h"
#include "checkpoint/manifest.h"

namespace waferstream {

// Adds config.json, hashes every file and writes the manifest: what is left is to give `partial`
// its name, in one step (PublishFolder, PublishNewFolder). What lies beside the weights that the
// job started from (companion_files.h) comes along. In: steps_done, loss, writer and job of the
// manifest; out: all of it. Appends to `notes` what could not come along. DATA_LOSS: the files in
// `partial` are not what the format lays out.
absl::StatusOr<Manifest> CompleteFolder(Disk& disk, const CheckpointFormat& format,
                                        const std::string& partial, Manifest manifest,
                                        std::vector<std::string>& notes);

struct SealedCheckpoint {
  CheckpointEntry entry;
  std::vector<std::string> notes;  // what a user should know of it, one line each
};

// Seals what `epoch` wrote of step `manifest.steps_done` in the job's folder job.checkpoint.dir,
// then removes the job's older checkpoints but the newest job.checkpoint.keep. Never removed: the
// one just sealed, later ones, other jobs', the one the job started from, and those after the steps
// of `staying`. A damaged one of another job that has the name is moved aside.
// The same call again, after success or error, goes on where the first one ended.
// FAILED_PRECONDITION: nothing was written for this step; the folder is another job's by now
// (ownership.h), or has a whole checkpoint of another job under this name. NOT_FOUND: a newer epoch
// has begun.
absl::StatusOr<SealedCheckpoint> SealCheckpoint(Disk& disk, const CheckpointFormat& format,
                                                const WriterEpoch& epoch, Manifest manifest,
                                                const std::vector<uint64_t>& staying);

}  // namespace waferstream
