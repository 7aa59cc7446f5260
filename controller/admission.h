// Whether a job can run at all.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "checkpoint/ownership.h"
#include "controller/admitted_job.h"
#include "controller/job_record.h"
#include "proto/job.pb.h"

namespace waferstream {

// Compiles the job for the cluster it asks for, and finds out at which step it starts: that of
// the checkpoint it comes from, 0 when that is another system's or there is none. Reads that
// checkpoint's manifest, so it may block on the disk; thread-safe. A job that goes on takes over
// what its weights depend on (checkpoint/go_on.h).
// INVALID_ARGUMENT, RESOURCE_EXHAUSTED: why not, one line (plan.h, go_on.h).
absl::StatusOr<AdmittedJob> Admit(Disk& disk, const JobSpec& job);

// Where the job's checkpoints go: where it says, else below the controller's state. Empty: nowhere,
// it makes none.
std::string FolderOf(const JobSpec& job, const std::string& state_dir, const std::string& job_id);

// Whether the job's files, with `folder` for its checkpoints, are below one of `roots` (none: they
// may be anywhere), links resolved as this host sees them. Reads folders; thread-safe.
// INVALID_ARGUMENT, naming the field.
absl::Status CheckPaths(const JobSpec& job, const std::string& folder,
                        const std::vector<std::string>& roots);

// Takes the folder of the plan's job for its checkpoints, so that the user is told at once when it
// is another job's, and leaves the job's mark there, by which MemoryX nodes know that they see the
// same folder. Null: there is none, or one that this process cannot use, which is for MemoryX
// to say (both take it, and either finds out). INVALID_ARGUMENT: it is another job's, one line.
absl::StatusOr<std::unique_ptr<FolderClaim>> ClaimFor(Disk& disk, const std::string& job_id,
                                                      const AdmittedJob& job);
// The same for a job that is on record; a folder that has got away is MemoryX's to say, too.
std::unique_ptr<FolderClaim> ClaimAgain(Disk& disk, const JobRecord& record);

}  // namespace waferstream
