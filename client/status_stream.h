// Follows a job, through controller restarts.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/controller_client.h"

namespace waferstream {

// Watches one job on a thread of its own and keeps the latest status only. When the stream breaks
// it is opened again, until `patience` has passed without a status. Ends by itself after a final
// state.
class StatusStream {
 public:
  // `client` must outlive this.
  StatusStream(ControllerClient& client, std::string job_id, absl::Duration patience);
  // Breaks the call off; does not touch the job.
  ~StatusStream();
  StatusStream(const StatusStream&) = delete;
  StatusStream& operator=(const StatusStream&) = delete;

  // A status newer than the last one returned here; nothing if none comes within `wait`; an error
  // if the job is not known, or the controller stayed away. Called from one thread.
  absl::StatusOr<std::optional<JobStatus>> Next(absl::Duration wait);

  // Why the controller is not heard just now; OK while it is.
  absl::Status Away() const;

 private:
  void Run();
  // One Watch call, from beginning to end; `heard` tells whether it brought a status.
  absl::Status WatchOnce(bool* heard);
  // What follows from how a call ended: another one, or else the error is set, or nobody cares.
  bool TryAgain(absl::Status status, bool heard, absl::Time silent_since);
  void Publish(JobStatus status);
  bool HasNews() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return latest_.has_value() || !error_.ok();
  }

  ControllerClient& client_;
  const std::string job_id_;
  const absl::Duration patience_;

  mutable absl::Mutex mutex_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  bool final_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<JobStatus> latest_ ABSL_GUARDED_BY(mutex_);
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
  absl::Status away_ ABSL_GUARDED_BY(mutex_);
  ControllerClient::WatchCall* call_ ABSL_GUARDED_BY(mutex_) = nullptr;  // the one that is open
  std::thread thread_;                                                   // last: runs Run()
};

}  // namespace waferstream
