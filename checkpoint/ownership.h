// Whose a folder of checkpoints is. A job and those it goes on from share one; nobody else does.
//
//   <dir>/.owner     JSON: the job that writes here, or did last. The controller of a live job has
//                    its lock; where it does not see the folder, the first MemoryX process does.
//
// A job may take a folder when
//   1. nobody holds the lock, or the job has the folder already: then one of its processes does;
//   2. every checkpoint in it is its own, of a job that it goes on from (its ancestors), or the one
//      that it starts from;
//   3. none of its ancestors' that is whole is later than the step that it starts from: it would
//      come to that step with other bits, or the same ones again, and replace it.
// The owner that is named does not count when nobody holds the lock: a job that ended, or was
// killed, before it sealed anything locks nobody out. On a file system without locks it does count,
// since nobody can tell whether that job is over; the refusal says which file to remove.
//
// What keeps two jobs apart whatever happens to locks is the name in the file: a checkpoint gets
// its own only while .owner names the job that wrote it (seal.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/disk.h"

namespace waferstream {

// A job as the folder sees it.
struct FolderUser {
  std::string job_id;  // empty: it has none yet, and can only look
  std::string name;
  std::vector<std::string> ancestors = {};  // ids
  std::string from = {};                    // job.checkpoint.from
  uint64_t start_step = 0;
};

// What a process holds of a folder that its job has taken. Its end, or the process's, frees the
// lock and changes nothing else, so that the job can go on from there. Not thread-safe.
class FolderClaim {
 public:
  // `first`: no other process of the job had it before, and `lock` is its lock, if there are any.
  FolderClaim(Disk& disk, std::string dir, std::string job_id, bool first,
              std::unique_ptr<FileLock> lock)
      : disk_(disk),
        dir_(std::move(dir)),
        job_id_(std::move(job_id)),
        first_(first),
        lock_(std::move(lock)) {}

  bool first() const { return first_; }

  // The job is over: if it sealed nothing, the folder is nobody's again.
  void Release();

 private:
  Disk& disk_;
  const std::string dir_;
  const std::string job_id_;
  const bool first_;
  std::unique_ptr<FileLock> lock_;
};

// Whether the job could take the folder; changes nothing. FAILED_PRECONDITION: not, one line that
// names the folder, the other job and what to do.
absl::Status CheckFolder(Disk& disk, const std::string& dir, const FolderUser& user);

// Takes the folder, creating it if need be. Two jobs that do so at once: one of them gets it. Again
// by the same job: OK. FAILED_PRECONDITION: as CheckFolder, and nothing was written; others: the
// disk's.
absl::StatusOr<std::unique_ptr<FolderClaim>> ClaimFolder(Disk& disk, const std::string& dir,
                                                         const FolderUser& user);

// The id of the job whose mark is in the folder; empty: there is none, or no folder.
absl::StatusOr<std::string> OwnerOf(Disk& disk, const std::string& dir);

// FAILED_PRECONDITION: the folder is not (any more) this job's.
absl::Status CheckOwner(Disk& disk, const std::string& dir, const std::string& job_id);

}  // namespace waferstream
