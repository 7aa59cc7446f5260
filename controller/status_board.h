// The latest status of every job, and who wants to know when it changes.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "controller/job_id.h"
#include "proto/controller.pb.h"

namespace waferstream {

class StatusWatcher {
 public:
  virtual ~StatusWatcher() = default;
  // The watched job has a new status. Must not block.
  virtual void OnStatus() = 0;
};

// Statuses are without losses; those are in the store. Everything on the controller's loop.
class StatusBoard {
 public:
  // Watches beyond this are refused, so that watchers cannot use the controller up.
  static constexpr size_t kWatchersMax = 256;

  void Publish(JobStatus status);
  // nullptr: no such job. Holds until the job's next Publish.
  const JobStatus* Find(const std::string& job_id) const;
  // The id of the one job that `name` may mean (job_id.h). NOT_FOUND, INVALID_ARGUMENT: several.
  absl::StatusOr<std::string> Resolve(const std::string& name) const;
  // All, by job id, the oldest first.
  const std::map<std::string, JobStatus, OlderJobFirst>& statuses() const { return statuses_; }
  // Newest first; without traffic.
  JobList List() const;

  // False: there are too many. The watcher is told until Unwatch.
  bool Watch(const std::string& job_id, StatusWatcher* watcher);
  void Unwatch(const std::string& job_id, StatusWatcher* watcher);

 private:
  std::map<std::string, JobStatus, OlderJobFirst> statuses_;
  std::map<std::string, std::set<StatusWatcher*>> watchers_;
  size_t watching_ = 0;
};

}  // namespace waferstream
