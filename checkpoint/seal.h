// Makes a fully written checkpoint what readers may rely on.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/folder.h"
#include "checkpoint/manifest.h"

namespace waferstream {

// Adds config.json, hashes every file, writes the manifest and gives `partial` its final name
// `folder`. In: steps_done, loss and job of the manifest; out: all of it. A crash at any moment
// leaves either no folder of that name (or the older one), or this one complete.
// DATA_LOSS: the files in `partial` are not what the format lays out.
absl::StatusOr<Manifest> SealFolder(Disk& disk, const CheckpointFormat& format,
                                    const std::string& partial, const std::string& folder,
                                    Manifest manifest);

// Seals what `epoch` wrote of step `manifest.steps_done` in the job's folder job.checkpoint.dir,
// then removes the job's older checkpoints but the newest job.checkpoint.keep. Never removed: the
// one just sealed, later ones (another run's), the one the job started from, and the one after
// `known_steps`. The same call again, after success or error, goes on where the first one ended.
// FAILED_PRECONDITION: nothing was written for this step. NOT_FOUND: a newer epoch has begun.
absl::StatusOr<CheckpointEntry> SealCheckpoint(Disk& disk, const CheckpointFormat& format,
                                               const WriterEpoch& epoch, Manifest manifest,
                                               uint64_t known_steps);

}  // namespace waferstream
