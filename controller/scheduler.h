// Who gets nodes, and when.
//
// Jobs wait in a queue, first come first served. A job is placed as a gang: all the nodes that it
// needs at once, or none. Only the head is ever placed: a small job does not overtake a large one.
// And while the head gathers its gang, no running job grows: a node that becomes free would
// otherwise be taken by an elastic job before the next one comes, again and again. So every job
// that fits is served in the end. A job whose user has as many wafers as the quota gives waits
// beside the queue: the head is the first one that may start, so that nobody waits for another
// one's quota. What a running job lost it may replace; what it asked for and
// never had, it waits for. Of two jobs that lost nodes and hold what the other one needs, the older
// one gets it (ControllerCore::TakeFromYounger). Every job carries the reason why it waits. Pure;
// not thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "controller/admitted_job.h"
#include "controller/job_record.h"
#include "controller/membership.h"
#include "controller/quota.h"

namespace waferstream {

struct QueuedJob {
  JobRecord record;
  AdmittedJob job;
};

// What each user's live jobs have.
using WafersByUser = std::map<std::string, int>;

class Scheduler {
 public:
  // Submissions beyond this are refused.
  static constexpr size_t kCapacity = 1000;

  bool full() const { return jobs_.size() >= kCapacity; }
  void SetQuotas(Quotas quotas) { quotas_ = std::move(quotas); }
  // Whether one more job of `user`, which needs `wafers` at least, may wait; `recorded`: jobs of
  // this user that are about to. INVALID_ARGUMENT: it could never start; RESOURCE_EXHAUSTED: too
  // many wait.
  absl::Status MayAdd(const std::string& user, int wafers, int recorded) const;
  void Add(QueuedJob job) { jobs_.push_back(std::move(job)); }
  // The first one that its user's quota lets start; null: none.
  const QueuedJob* Head(const WafersByUser& used) const;
  // Takes a job out wherever it stands; nullopt when it is not here.
  std::optional<QueuedJob> Remove(absl::string_view job_id);

  // Before those of a job that is to start are chosen, which Head gave.
  void BoundNew(const std::string& user, const WafersByUser& used, MemberNeeds& needs) const;
  // Before the nodes of a live job of `user`, which has `wafers` of them now, are chosen anew.
  void Bound(const std::string& user, int wafers, const WafersByUser& used,
             MemberNeeds& needs) const;

  // Sets the reasons: `head_reason` for the head; its quota, or the head's name, for any other.
  // Returns the statuses that changed.
  std::vector<JobStatus> Explain(const WafersByUser& used, const std::string& head_reason);

 private:
  // More wafers than `used` that jobs of `user` may have.
  int RoomOf(const std::string& user, const WafersByUser& used) const;
  bool MayStart(const QueuedJob& job, const WafersByUser& used) const;
  std::string QuotaReason(const std::string& user, const WafersByUser& used) const;

  Quotas quotas_;
  std::deque<QueuedJob> jobs_;
};

}  // namespace waferstream
