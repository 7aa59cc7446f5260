// The controller's memory across restarts: one SQLite file in its state directory.
//
// Write-ahead log with full synchronisation: when Write returns OK, its records survive a crash of
// the process and of the machine; those of WriteAhead the latter only once Sync has returned OK, or
// another Write. The tables are jobs, commits, events and cordons, and `user_version` names their
// layout.
//
// Thread-safe: one connection behind a mutex. Every call may block on the disk, so none is made
// from the controller's executor.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "controller/job_record.h"
#include "proto/controller.pb.h"

struct sqlite3;

namespace waferstream {

class JobStore {
 public:
  // Opens or creates the file. UNAVAILABLE: SQLite's reason, with the path. FAILED_PRECONDITION: it
  // was written by a newer version.
  static absl::StatusOr<std::unique_ptr<JobStore>> Open(const std::string& path);
  ~JobStore();
  JobStore(const JobStore&) = delete;
  JobStore& operator=(const JobStore&) = delete;

  // All records or none, in order. UNAVAILABLE: the disk's reason; a later call may succeed.
  absl::Status Write(const std::vector<StoreRecord>& records);
  absl::Status WriteAhead(const std::vector<StoreRecord>& records);

  // UNAVAILABLE: the disk's reason. Nobody knows then what of the records written ahead is on the
  // disk: they are to be written again.
  absl::Status Sync();

  // All jobs, oldest first. Of a job that is not final, step and loss are those of its last commit.
  absl::StatusOr<std::vector<JobRecord>> LoadJobs();

  // The commits of the steps from `step_begin` on, in order of step.
  absl::StatusOr<std::vector<CommitRecord>> LoadCommits(const std::string& job_id,
                                                        uint64_t step_begin);

  absl::StatusOr<std::vector<CordonRecord>> LoadCordons();

  // The losses of the steps before `step_end`, in order of step.
  absl::StatusOr<std::vector<double>> LoadLosses(const std::string& job_id, uint64_t step_end);

  // Oldest first; none of a job that is not known.
  absl::StatusOr<EventList> LoadEvents(const std::string& job_id);

 private:
  JobStore(sqlite3* database, std::string path) : database_(database), path_(std::move(path)) {}

  absl::Status CreateTables() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Transact(const std::vector<StoreRecord>& records)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Insert(const JobRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Insert(const CommitRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Insert(const RewindRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Insert(const EventRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Insert(const CordonRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status FillLastCommit(JobStatus& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  sqlite3* const database_ ABSL_PT_GUARDED_BY(mutex_);
  const std::string path_;
};

}  // namespace waferstream
