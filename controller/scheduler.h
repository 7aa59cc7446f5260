// Who gets nodes, and when.
//
// Jobs wait in a queue, first come first served. A job is placed as a gang: all the nodes that it
// needs at once, or none. Only the head is ever placed: a small job does not overtake a large one.
// And while the head gathers its gang, no running job grows: a node that becomes free would
// otherwise be taken by an elastic job before the next one comes, again and again. So every job
// that fits is served in the end. What a running job lost it may replace; what it asked for and
// never had, it waits for. Of two jobs that lost nodes and hold what the other one needs, the older
// one gets it (ControllerCore::TakeFromYounger). Every job carries the reason why it waits. Pure;
// not thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "controller/admitted_job.h"
#include "controller/job_record.h"
#include "controller/membership.h"

namespace waferstream {

struct QueuedJob {
  JobRecord record;
  AdmittedJob job;
};

class Scheduler {
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

  // Before the nodes of a running job, which has `wafers` of them now, are chosen anew.
  void Bound(int wafers, MemberNeeds& needs) const;

  // Sets the reasons: `head_reason` for the head, the head's name for the others. Returns the
  // statuses that changed.
  std::vector<JobStatus> Explain(const std::string& head_reason);

 private:
  std::deque<QueuedJob> jobs_;
};

}  // namespace waferstream
