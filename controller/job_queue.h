// The jobs that wait for nodes, first come first served.
//
// Only the head is ever placed: a small job does not overtake a large one, so the large one is
// served in the end. Every job carries the reason why it waits. Pure; not thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "controller/admitted_job.h"
#include "controller/job_record.h"

namespace waferstream {

struct QueuedJob {
  JobRecord record;
  AdmittedJob job;
};

class JobQueue {
 public:
  // Submissions beyond this are refused.
  static constexpr size_t kCapacity = 1000;

  bool full() const { return jobs_.size() >= kCapacity; }
  bool empty() const { return jobs_.empty(); }
  void Add(QueuedJob job) { jobs_.push_back(std::move(job)); }
  const QueuedJob& head() const { return jobs_.front(); }
  QueuedJob Pop();
  // Takes a job out wherever it stands; nullopt when it is not here.
  std::optional<QueuedJob> Remove(absl::string_view job_id);

  // Sets the reasons: `head_reason` for the head, the head's name for the others. Returns the
  // statuses that changed.
  std::vector<JobStatus> Explain(const std::string& head_reason);

 private:
  std::deque<QueuedJob> jobs_;
};

}  // namespace waferstream
