// The part of ControllerCore that decides who gets nodes: epochs of live jobs, and then the queue.
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/mark.h"
#include "controller/controller_core.h"

namespace waferstream {
namespace {

// "w3 joins", "w1 leaves", or what else is better about `next`.
std::string Improvement(const Membership& next, const Membership& now) {
  const std::set<std::string> after = NodesOf(next), before = NodesOf(now);
  std::vector<std::string> changes;
  for (const std::string& id : after) {
    if (before.count(id) == 0) changes.push_back(absl::StrCat(id, " joins"));
  }
  for (const std::string& id : before) {
    if (after.count(id) == 0) changes.push_back(absl::StrCat(id, " leaves"));
  }
  return changes.empty() ? "missing copies are filled" : absl::StrJoin(changes, ", ");
}

}  // namespace

void ControllerCore::Schedule(ControllerTurn& turn) {
  std::vector<std::string> live;
  for (const auto& [job_id, job] : jobs_) live.push_back(job_id);
  for (const std::string& job_id : live) TryEpoch(job_id, turn);
  std::string reason;
  while (const QueuedJob* const head = queue_.Head(UsedWafers())) {
    auto job = std::make_unique<JobLife>(head->record, std::vector<CommitRecord>(),
                                         options_.patience_s, turn.now);
    MemberNeeds needs = job->Needs(now_s_);
    queue_.BoundNew(job->status().user(), UsedWafers(), needs);
    const absl::StatusOr<Membership> members = ChooseMembers(needs, nodes_);
    if (absl::IsUnavailable(members.status())) {
      reason = std::string(members.status().message());
      break;
    }
    queue_.Remove(job->status().job_id());
    JobLife& started = *jobs_.emplace(job->status().job_id(), std::move(job)).first->second;
    if (members.ok()) {
      StartEpoch(started, *members, turn);
    } else {
      Refuse(started, members.status(), turn);
    }
  }
  for (JobStatus& status : queue_.Explain(UsedWafers(), reason)) {
    turn.published.push_back(std::move(status));
  }
}

void ControllerCore::TryEpoch(const std::string& job_id, ControllerTurn& turn) {
  JobLife* job = FindJob(job_id);
  if (job == nullptr) return;
  if (job->paused()) return LetLeave(*job, turn);
  if (!job->WantsEpoch(nodes_, now_s_)) return;
  const absl::Status alike = job->CheckNumerics();
  if (!alike.ok()) return Refuse(*job, alike, turn);
  const absl::StatusOr<Membership> members = ChooseMembers(NeedsOf(*job), nodes_);
  if (members.ok()) return StartEpoch(*job, *members, turn);
  const std::string reason(members.status().message());
  if (!absl::IsUnavailable(members.status())) return Refuse(*job, members.status(), turn);
  LetLeave(*job, turn);
  TakeFromYounger(*job, turn);
  Deliver(*job, turn, [&](RunTurn& t) { job->Wait(reason, t); });
}

void ControllerCore::LetLeave(JobLife& job, ControllerTurn& turn) {
  const MemberNeeds needs = NeedsOf(job);
  std::vector<std::string> gone;
  LeaveNodes(job, turn, [&](const KnownNode& node) {
    if (node.lost || !node.leaves() || !CanDoWithout(node, needs, nodes_)) return false;
    gone.push_back(node.info.node_id());
    return true;
  });
  for (const std::string& node_id : gone) {
    WS_MARK("controller: a node left a job that does not run");
    Deliver(job, turn, [&](RunTurn& t) { job.GiveUpNode(node_id, t); });
  }
}

// Jobs that lost something hold what is left of their nodes, so that two of them could wait for one
// another for ever. The older one is served; shards only go once their job would do without them.
void ControllerCore::TakeFromYounger(const JobLife& job, ControllerTurn& turn) {
  MemberNeeds needs = NeedsOf(job);
  for (auto it = jobs_.upper_bound(job.status().job_id()); it != jobs_.end(); ++it) {
    const JobLife& younger = *it->second;
    if (!younger.WantsEpoch(nodes_, now_s_)) continue;
    needs.yield[it->first] = younger.Needs(now_s_).may_load;
  }
  if (needs.yield.empty()) return;
  const absl::StatusOr<Membership> members = ChooseMembers(needs, nodes_);
  if (!members.ok()) return;
  const std::set<std::string> chosen = NodesOf(*members);
  for (const auto& [job_id, unused] : needs.yield) {
    JobLife& younger = *FindJob(job_id);
    std::vector<std::string> given;
    LeaveNodes(younger, turn, [&](const KnownNode& node) {
      if (!chosen.contains(node.info.node_id())) return false;
      given.push_back(node.info.node_id());
      return true;
    });
    if (given.empty()) continue;
    WS_MARK("controller: a waiting job gave way to an older one");
    Deliver(younger, turn, [&](RunTurn& t) {
      for (const std::string& node_id : given) younger.GiveUpNode(node_id, t);
    });
  }
}

void ControllerCore::Refuse(JobLife& job, const absl::Status& why, ControllerTurn& turn) {
  Deliver(job, turn, [&](RunTurn& t) { job.Refuse(std::string(why.message()), t); });
}

void ControllerCore::StartEpoch(JobLife& job, const Membership& members, ControllerTurn& turn) {
  Reassign(job, members, turn);
  const std::string job_id = job.status().job_id();
  Deliver(job, turn, [&](RunTurn& t) { job.MakeEpoch(members, nodes_, options_.lease_s, t); });
  if (FindJob(job_id) == nullptr) return;
  turn.must_persist = true;
  AddWait({job_id, job.status().epoch(), Wait::What::kEpoch}, turn);
}

void ControllerCore::Reassign(const JobLife& job, const Membership& members, ControllerTurn& turn) {
  const std::string& job_id = job.status().job_id();
  const std::set<std::string> chosen = NodesOf(members);
  for (const std::string& id : chosen) nodes_.Find(id)->job_id = job_id;
  LeaveNodes(job, turn,
             [&](const KnownNode& node) { return chosen.count(node.info.node_id()) == 0; });
}

// A job that is paused, or lost some, keeps what it had: it is to go on with it.
WafersByUser ControllerCore::UsedWafers() const {
  WafersByUser used;
  for (const auto& [job_id, job] : jobs_) {
    used[job->status().user()] += static_cast<int>(job->status().wafers());
  }
  return used;
}

MemberNeeds ControllerCore::NeedsOf(const JobLife& job) const {
  MemberNeeds needs = job.Needs(now_s_);
  const JobStatus& status = job.status();
  queue_.Bound(status.user(), static_cast<int>(status.wafers()), UsedWafers(), needs);
  return needs;
}

void ControllerCore::ImproveMembership(JobLife& job, ControllerTurn& turn) {
  if (!job.MayChangeMembers()) return;
  const absl::StatusOr<Membership> next = ChooseMembers(NeedsOf(job), nodes_);
  const Membership& now = job.run()->members();
  if (!next.ok() || !next->keep || !IsBetter(*next, now)) return;
  const std::string why = Improvement(*next, now);
  Deliver(job, turn, [&](RunTurn& t) { job.Deliver(t, [&](JobRun& run) { run.Leave(why, t); }); });
}

}  // namespace waferstream
