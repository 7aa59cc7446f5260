#include "controller/status_board.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace waferstream {

void StatusBoard::Publish(JobStatus status) {
  const std::string job_id = status.job_id();
  statuses_[job_id] = std::move(status);
  const auto watchers = watchers_.find(job_id);
  if (watchers == watchers_.end()) return;
  const std::set<StatusWatcher*> told = watchers->second;  // one of them may leave meanwhile
  for (StatusWatcher* watcher : told) watcher->OnStatus();
}

const JobStatus* StatusBoard::Find(const std::string& job_id) const {
  const auto it = statuses_.find(job_id);
  return it == statuses_.end() ? nullptr : &it->second;
}

absl::StatusOr<std::string> StatusBoard::Resolve(const std::string& name) const {
  if (Find(name) != nullptr) return name;
  std::vector<std::string> meant;
  for (const auto& [job_id, status] : statuses_) {
    if (MayMean(name, job_id)) meant.push_back(job_id);
  }
  if (meant.size() == 1) return meant.front();
  if (meant.empty()) return absl::NotFoundError(absl::StrCat("no job ", name));
  return absl::InvalidArgumentError(absl::StrCat("job ", name, " may be any of ", meant.size(),
                                                 ", the newest of them ", meant.back()));
}

JobList StatusBoard::List() const {
  JobList list;
  for (auto it = statuses_.rbegin(); it != statuses_.rend(); ++it) {
    JobStatus* job = list.add_jobs();
    *job = it->second;
    job->clear_logits();
    job->clear_sequence_losses();
    job->clear_traffic();
  }
  return list;
}

bool StatusBoard::Watch(const std::string& job_id, StatusWatcher* watcher) {
  if (watching_ >= kWatchersMax) return false;
  if (watchers_[job_id].insert(watcher).second) ++watching_;
  return true;
}

void StatusBoard::Unwatch(const std::string& job_id, StatusWatcher* watcher) {
  const auto it = watchers_.find(job_id);
  if (it == watchers_.end()) return;
  watching_ -= it->second.erase(watcher);
  if (it->second.empty()) watchers_.erase(it);
}

}  // namespace waferstream
