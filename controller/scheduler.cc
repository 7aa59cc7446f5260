#include "controller/scheduler.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace waferstream {

namespace {

constexpr int kNoBound = std::numeric_limits<int>::max();

int Of(const WafersByUser& used, const std::string& user) {
  const auto found = used.find(user);
  return found == used.end() ? 0 : found->second;
}

}  // namespace

absl::Status Scheduler::MayAdd(const std::string& user, int wafers, int recorded) const {
  const auto found = quotas_.find(user);
  if (found == quotas_.end()) return absl::OkStatus();
  const Quota& quota = found->second;
  if (quota.wafers > 0 && wafers > quota.wafers) {
    return absl::InvalidArgumentError(
        absl::StrCat("cluster.wafers: ", wafers, ", and ", user, " may have ", quota.wafers));
  }
  const auto waiting = std::count_if(jobs_.begin(), jobs_.end(), [&](const QueuedJob& job) {
    return job.record.status.user() == user;
  });
  if (quota.queued == 0 || waiting + recorded < quota.queued) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat(waiting + recorded, " jobs of ", user, " wait, as many as may"));
}

int Scheduler::RoomOf(const std::string& user, const WafersByUser& used) const {
  const auto found = quotas_.find(user);
  if (found == quotas_.end() || found->second.wafers == 0) return kNoBound;
  return std::max(found->second.wafers - Of(used, user), 0);
}

bool Scheduler::MayStart(const QueuedJob& job, const WafersByUser& used) const {
  const JobStatus& status = job.record.status;
  return LeastWafers(status.job().cluster()) <= RoomOf(status.user(), used);
}

const QueuedJob* Scheduler::Head(const WafersByUser& used) const {
  for (const QueuedJob& job : jobs_) {
    if (MayStart(job, used)) return &job;
  }
  return nullptr;
}

std::optional<QueuedJob> Scheduler::Remove(absl::string_view job_id) {
  for (auto it = jobs_.begin(); it != jobs_.end(); ++it) {
    if (it->record.status.job_id() != job_id) continue;
    QueuedJob job = std::move(*it);
    jobs_.erase(it);
    return job;
  }
  return std::nullopt;
}

void Scheduler::BoundNew(const std::string& user, const WafersByUser& used,
                         MemberNeeds& needs) const {
  const int room = RoomOf(user, used);
  if (room < kNoBound) needs.wafers_most = room;
}

void Scheduler::Bound(const std::string& user, int wafers, const WafersByUser& used,
                      MemberNeeds& needs) const {
  const int room = RoomOf(user, used);
  if (Head(used) != nullptr) {
    needs.wafers_most = wafers;
  } else if (room < kNoBound) {
    needs.wafers_most = wafers + room;
  }
}

std::string Scheduler::QuotaReason(const std::string& user, const WafersByUser& used) const {
  return absl::StrCat("waiting for the quota of ", user, ": ", Of(used, user), " of ",
                      quotas_.at(user).wafers, " wafers taken");
}

std::vector<JobStatus> Scheduler::Explain(const WafersByUser& used,
                                          const std::string& head_reason) {
  const QueuedJob* const head = Head(used);
  std::vector<JobStatus> changed;
  for (QueuedJob& job : jobs_) {
    JobStatus& status = job.record.status;
    const std::string reason =
        &job == head ? head_reason
        : MayStart(job, used)
            ? absl::StrCat("waiting behind ", head->record.status.job_id(), " in the queue")
            : QuotaReason(status.user(), used);
    if (status.reason() == reason) continue;
    status.set_reason(reason);
    changed.push_back(status);
  }
  return changed;
}

}  // namespace waferstream
