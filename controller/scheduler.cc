#include "controller/scheduler.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace waferstream {

QueuedJob Scheduler::Pop() {
  QueuedJob job = std::move(jobs_.front());
  jobs_.pop_front();
  return job;
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

void Scheduler::Bound(int wafers, MemberNeeds& needs) const {
  if (!empty()) needs.wafers_most = wafers;
}

std::vector<JobStatus> Scheduler::Explain(const std::string& head_reason) {
  std::vector<JobStatus> changed;
  for (QueuedJob& job : jobs_) {
    JobStatus& status = job.record.status;
    const std::string reason =
        &job == &jobs_.front()
            ? head_reason
            : absl::StrCat("waiting behind ", head().record.status.job_id(), " in the queue");
    if (status.reason() == reason) continue;
    status.set_reason(reason);
    changed.push_back(status);
  }
  return changed;
}

}  // namespace waferstream
