#include "controller/controller_core.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/mark.h"
#include "base/status.h"
#include "base/version.h"
#include "controller/job_difference.h"
#include "proto/job_state.h"

namespace waferstream {
namespace {

void AddEvent(const std::string& job_id, std::string text, ControllerTurn& turn) {
  turn.records.push_back(EventRecord{job_id, turn.now.unix_s, std::move(text)});
}

// What must be found again after a restart: a disk that refuses it once must not undo what somebody
// was told.
void MustRecord(StoreRecord record, ControllerTurn& turn) {
  turn.records.push_back(std::move(record));
  turn.must_persist = true;
}

}  // namespace

ControllerCore::ControllerCore(Options options, RestoredState restored, ControllerTurn& turn)
    : options_(std::move(options)),
      nodes_(options_.lease_s, Remembered(restored)),
      now_s_(turn.now.steady_s) {
  queue_.SetQuotas(options_.quotas);
  for (RestoredJob& job : restored.jobs) Restore(std::move(job), turn);
  Schedule(turn);
}

NodeMemory ControllerCore::Remembered(const RestoredState& restored) {
  NodeMemory memory;
  for (const RestoredJob& restored_job : restored.jobs) {
    const JobRecord& record = restored_job.record;
    if (IsFinal(record.status.state())) continue;
    for (const JobMemory::Member& member : record.memory.members()) {
      memory.members[member.node_id()] = {record.status.job_id(), member.incarnation()};
    }
  }
  for (const CordonRecord& cordon : restored.cordons) memory.cordons[cordon.node_id] = cordon;
  return memory;
}

void ControllerCore::Restore(RestoredJob restored, ControllerTurn& turn) {
  JobRecord& record = restored.record;
  JobStatus& status = record.status;
  next_number_ = std::max(next_number_, record.number + 1);
  submissions_[record.request_id] = SubmissionOf(record);
  if (status.state() == QUEUED && !restored.job.ok()) {
    status.set_state(FAILED);
    status.set_reason(std::string(restored.job.status().message()));
    MustRecord(record, turn);
    AddEvent(status.job_id(), absl::StrCat("failed: ", status.reason()), turn);
  } else if (status.state() == PREPARING || status.state() == RUNNING) {
    status.set_state(PREPARING);
    status.set_reason("the controller was restarted");
    AddEvent(status.job_id(), status.reason(), turn);
  }
  if (status.state() == QUEUED) status.set_numerics(Numerics());  // it was admitted again by these
  turn.published.push_back(status);
  if (status.state() == QUEUED) {
    queue_.Add({std::move(record), *std::move(restored.job)});
  } else if (!IsFinal(status.state())) {
    const std::string job_id = status.job_id();
    jobs_[job_id] = std::make_unique<JobLife>(std::move(record), std::move(restored.commits),
                                              options_.patience_s, turn.now);
    turn.published.back() = jobs_[job_id]->status();
  }
}

// -- nodes ----------------------------------------------------------------------------------------

absl::Status ControllerCore::OnRegister(const RegisterRequest& request, ControllerTurn& turn) {
  Advance(turn);
  const absl::StatusOr<bool> replaced = nodes_.Register(request, now_s_);
  if (!replaced.ok()) return replaced.status();
  turn.log.push_back(absl::StrCat("node ", request.node_id(), " registered (",
                                  RoleName(request.role()), ", ", request.host(), ":",
                                  request.control_port(), ")"));
  if (*replaced) {
    for (auto& [job_id, job] : jobs_) job->OnNodeReplaced(request.node_id());
    LoseNode(request.node_id(), "was restarted", turn);
  }
  ReleaseIfQuiet(*nodes_.Find(request.node_id()), turn);
  Schedule(turn);
  return absl::OkStatus();
}

absl::StatusOr<HeartbeatReply> ControllerCore::OnHeartbeat(const HeartbeatRequest& request,
                                                           ControllerTurn& turn) {
  Advance(turn);
  RETURN_IF_ERROR(nodes_.Heard(request.node_id(), request.incarnation(), now_s_));
  if (request.has_holds()) nodes_.Holds(request.node_id(), request.holds());
  if (request.leaving() && nodes_.Leaves(request.node_id())) {
    turn.log.push_back(absl::StrCat("node ", request.node_id(), " was told to stop, and leaves"));
    Schedule(turn);
  }
  KnownNode& node = *nodes_.Find(request.node_id());
  ReleaseIfQuiet(node, turn);
  HeartbeatReply reply;
  reply.set_may_go(request.leaving() && node.idle() && node.quiet());
  return reply;
}

void ControllerCore::Advance(ControllerTurn& turn) {
  const std::optional<double> due_s = NextTimer();
  now_s_ = turn.now.steady_s;
  if (due_s.has_value() && *due_s <= now_s_) Schedule(turn);
}

absl::Status ControllerCore::OnReport(const NodeReport& report, ControllerTurn& turn) {
  Advance(turn);
  RETURN_IF_ERROR(nodes_.Heard(report.node_id(), std::nullopt, now_s_));
  JobLife* job = FindEpoch(report.job_id(), report.epoch());
  if (job == nullptr) return absl::OkStatus();
  const std::optional<int> from = job->run()->ProcessOn(report.node_id());
  if (!from.has_value()) return absl::OkStatus();
  const uint64_t incarnation = nodes_.Find(report.node_id())->info.incarnation();
  Deliver(*job, turn, [&](RunTurn& t) { job->OnReport(*from, report, incarnation, t); });
  // Most reports end nothing, and then nobody waits for anything new.
  if (FindEpoch(report.job_id(), report.epoch()) == nullptr) Schedule(turn);
  return absl::OkStatus();
}

void ControllerCore::OnTimer(ControllerTurn& turn) {
  // A timer that comes late means that this controller was stopped: leases ran out unheard.
  const std::optional<double> due_s = NextTimer();
  const double late_s = due_s.has_value() ? turn.now.steady_s - *due_s : 0;
  if (late_s > options_.lease_s / 2) {
    WS_MARK("controller: was away, and excused its nodes");
    nodes_.Excuse(late_s);
  }
  now_s_ = turn.now.steady_s;
  for (const std::string& node_id : nodes_.Expire(now_s_)) {
    const bool stopped = nodes_.Find(node_id)->info.leaving();
    LoseNode(node_id,
             stopped ? "was told to stop, and is gone"
                     : absl::StrFormat("was not heard of for %.1f s", options_.lease_s),
             turn);
  }
  std::vector<std::string> live;
  for (const auto& [job_id, job] : jobs_) live.push_back(job_id);
  for (const std::string& job_id : live) {
    JobLife* job = FindJob(job_id);
    if (job == nullptr) continue;
    Deliver(*job, turn, [&](RunTurn& t) { job->Deliver(t, [&](JobRun& run) { run.OnTimer(t); }); });
  }
  Schedule(turn);
}

std::optional<double> ControllerCore::NextTimer() const {
  std::optional<double> next = nodes_.NextExpiry();
  for (const auto& [job_id, job] : jobs_) {
    const std::optional<double> due_s = job->NextTimer(now_s_);
    if (due_s.has_value() && (!next.has_value() || *due_s < *next)) next = due_s;
  }
  return next;
}

void ControllerCore::LoseNode(const std::string& node_id, const std::string& how,
                              ControllerTurn& turn) {
  turn.log.push_back(absl::StrCat("node ", node_id, " ", how));
  JobLife* job = FindJob(nodes_.Find(node_id)->job_id);
  if (job == nullptr || job->run() == nullptr) return;
  const std::optional<int> process = job->run()->ProcessOn(node_id);
  if (!process.has_value()) return;
  Deliver(*job, turn, [&](RunTurn& t) {
    job->Deliver(t, [&](JobRun& run) { run.OnNodeLost(*process, how, t); });
  });
}

absl::StatusOr<NodeStatus> ControllerCore::OnCordon(const CordonRequest& request,
                                                    ControllerTurn& turn) {
  Advance(turn);
  if (!CordonRequest::Action_IsValid(request.action())) {
    return absl::InvalidArgumentError(absl::StrCat("action: ", request.action(), " is unknown"));
  }
  CordonRecord record;
  record.node_id = request.node_id();
  record.cordoned = request.action() != CordonRequest::UNCORDON;
  record.draining = request.action() == CordonRequest::DRAIN;
  const KnownNode* node = nodes_.Find(record.node_id);
  if (node == nullptr) return absl::NotFoundError(absl::StrCat("no node ", record.node_id));
  const bool is_so = node->cordoned == record.cordoned && node->draining == record.draining &&
                     node->note == record.note;
  if (is_so) return NodeTable::StatusOf(*node, now_s_);
  SetCordon(record, turn);
  Schedule(turn);
  return NodeTable::StatusOf(*node, now_s_);
}

void ControllerCore::SetCordon(const CordonRecord& record, ControllerTurn& turn) {
  WS_CHECK(nodes_.SetCordon(record).ok());
  MustRecord(record, turn);
  turn.log.push_back(absl::StrCat("node ", record.node_id, " is ",
                                  record.draining   ? "drained"
                                  : record.cordoned ? "cordoned"
                                                    : "uncordoned"));
}

absl::StatusOr<std::string> ControllerCore::AddressOf(const std::string& node_id) {
  const KnownNode* node = nodes_.Find(node_id);
  if (node == nullptr) return absl::NotFoundError(absl::StrCat("no node ", node_id));
  return node->address();
}

// -- calls ----------------------------------------------------------------------------------------

void ControllerCore::Call(KnownNode& node, const std::string& job_id, uint32_t epoch,
                          NodeRequest request, ControllerTurn& turn) {
  node.CallBegins();
  turn.calls.push_back({.job_id = job_id,
                        .epoch = epoch,
                        .node_id = node.info.node_id(),
                        .incarnation = node.info.incarnation(),
                        .address = node.address(),
                        .request = std::move(request)});
}

void ControllerCore::ReleaseIfQuiet(KnownNode& node, ControllerTurn& turn) {
  if (node.lost || !node.quiet() || node.release.empty()) return;
  const EpochRef& ref = node.release.front();
  Call(node, ref.job_id(), ref.epoch(), ReleaseCall{ref}, turn);
}

void ControllerCore::OnCallDone(const NodeCallResult& result, ControllerTurn& turn) {
  const NodeCall& call = result.call;
  KnownNode* node = nodes_.Find(call.node_id);
  if (node == nullptr) return;
  node->CallEnds(call.incarnation);
  // The present process, at the same address, may have served it all the same: it says so itself.
  if (node->info.incarnation() != call.incarnation) return;
  // A Release that was not answered is sent again at the node's next heartbeat.
  const bool is_release = std::holds_alternative<ReleaseCall>(call.request);
  const bool unreleased = is_release && IsSilence(result.status);
  if (is_release && !unreleased) {
    std::erase_if(node->release, [&](const EpochRef& due) {
      return due.job_id() == call.job_id && due.epoch() == call.epoch;
    });
  }
  JobLife* const job = is_release ? nullptr : FindEpoch(call.job_id, call.epoch);
  if (job != nullptr) {
    const int process = job->run()->ProcessOn(call.node_id).value();
    Deliver(*job, turn, [&](RunTurn& t) {
      job->Deliver(t, [&](JobRun& run) {
        run.OnCallDone(process, call.request, result.status, result.reply, t);
      });
    });
  }
  if (!unreleased) ReleaseIfQuiet(*node, turn);
  Schedule(turn);
}

// -- jobs -----------------------------------------------------------------------------------------

ControllerCore::Submission ControllerCore::SubmissionOf(const JobRecord& record) {
  Submission submission{record.status.job_id(), std::nullopt};
  if (record.memory.has_submitted()) submission.job = record.memory.submitted();
  return submission;
}

absl::StatusOr<std::optional<std::string>> ControllerCore::FindRequest(
    const std::string& request_id, const JobSpec& job) const {
  const auto it = submissions_.find(request_id);
  if (it == submissions_.end()) return std::nullopt;
  const Submission& before = it->second;
  if (before.job.has_value()) {
    RETURN_IF_ERROR(CheckSameRequest(request_id, before.job_id, *before.job, job));
  }
  return before.job_id;
}

void ControllerCore::OnSubmit(const std::string& request_id, const JobIdentity& identity,
                              AdmittedJob job, ControllerTurn& turn) {
  const auto known = FindRequest(request_id, job.submitted);
  if (!known.ok() || known->has_value()) {
    const auto answer = known.ok() ? absl::StatusOr<std::string>(**known) : known.status();
    turn.submit_answers.push_back({request_id, answer});
    return;
  }
  for (const auto& [token, submit] : submits_) {
    if (submit.record.request_id == request_id) return;  // answered with that one
  }
  if (const absl::Status room = CheckQueue(identity, job); !room.ok()) {
    turn.submit_answers.push_back({request_id, room});
    return;
  }
  QueuedJob queued = MakeJob(request_id, identity, std::move(job), turn.now);
  turn.records.push_back(queued.record);
  AddEvent(queued.record.status.job_id(), "submitted", turn);
  for (const std::string& note : queued.job.notes) {
    AddEvent(queued.record.status.job_id(), note, turn);
  }
  turn.persist_tokens.push_back(next_token_);
  submits_.emplace(next_token_++, std::move(queued));
}

absl::Status ControllerCore::CheckQueue(const JobIdentity& identity, const AdmittedJob& job) const {
  if (queue_.full()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the queue is full (", Scheduler::kCapacity, " jobs)"));
  }
  const auto recorded = std::count_if(submits_.begin(), submits_.end(), [&](const auto& submit) {
    return submit.second.record.status.user() == identity.user;
  });
  return queue_.MayAdd(identity.user, LeastWafers(job.submitted.cluster()),
                       static_cast<int>(recorded));
}

JobIdentity ControllerCore::NewIdentity(absl::string_view tag, const std::string& user) {
  JobIdentity identity = MakeJobIdentity(next_number_++, tag);
  identity.user = user;
  return identity;
}

QueuedJob ControllerCore::MakeJob(const std::string& request_id, const JobIdentity& identity,
                                  AdmittedJob job, const Now& now) {
  QueuedJob queued;
  queued.record.number = identity.number;
  queued.record.request_id = request_id;
  *queued.record.memory.mutable_submitted() = std::move(job.submitted);
  JobStatus& status = queued.record.status;
  status.set_job_id(identity.job_id);
  status.set_user(identity.user);
  status.mutable_ancestors()->Assign(job.ancestors.begin(), job.ancestors.end());
  const JobSpec& spec = job.plan.job;
  status.set_name(spec.name());
  status.set_state(QUEUED);
  status.set_step(spec.has_generate() ? 0 : job.start_step);
  status.set_steps(spec.has_generate() ? spec.generate().tokens() : LastStep(spec.training()));
  status.set_parameters(job.plan.parameter_elements);
  status.set_sram_planned_bytes(job.plan.sram.bytes);
  status.set_submitted_unix_s(now.unix_s);
  status.set_first_step(status.step());
  status.set_kernel_isa(job.kernel_isa);
  status.set_build(Version());
  status.set_numerics(Numerics());
  queued.record.memory.set_first_step(status.step());
  *status.mutable_job() = spec;
  queued.job = std::move(job);
  return queued;
}

void ControllerCore::OnPersisted(uint64_t token, const absl::Status& stored, ControllerTurn& turn) {
  Advance(turn);
  if (auto submit = submits_.extract(token)) {
    return OnSubmitPersisted(std::move(submit.mapped()), stored, turn);
  }
  const auto found = waits_.extract(token);
  WS_CHECK(!found.empty());
  const Wait& wait = found.mapped();
  if (wait.what == Wait::What::kCommit) {
    if (JobLife* job = FindJob(wait.job_id)) {
      Deliver(*job, turn, [&](RunTurn& t) { job->OnCommitDurable(stored, t); });
    }
    if (JobLife* job = FindEpoch(wait.job_id, wait.epoch)) ImproveMembership(*job, turn);
  } else if (JobLife* job = FindEpoch(wait.job_id, wait.epoch)) {
    Deliver(*job, turn, [&](RunTurn& t) {
      if (wait.what == Wait::What::kEpoch) return job->BeginEpoch(stored, t);
      job->Deliver(t, [&](JobRun& run) { run.OnRecordDurable(stored, t); });
    });
  }
  Schedule(turn);
}

void ControllerCore::OnStoreTrouble(const std::string& what, ControllerTurn& turn) {
  Advance(turn);
  if (!store_trouble_.empty()) return;
  store_trouble_ = what;
  for (auto& [job_id, job] : jobs_) {
    Deliver(*job, turn, [&, job = job.get()](RunTurn& t) { job->OnStoreTrouble(what, t); });
  }
}

void ControllerCore::OnStoreWell(ControllerTurn& turn) {
  if (store_trouble_.empty()) return;
  const std::string what = std::exchange(store_trouble_, "");
  for (auto& [job_id, job] : jobs_) {
    Deliver(*job, turn, [&, job = job.get()](RunTurn& t) { job->OnStoreWell(what, t); });
  }
}

void ControllerCore::OnSubmitPersisted(QueuedJob job, const absl::Status& stored,
                                       ControllerTurn& turn) {
  const std::string request_id = job.record.request_id;
  if (!stored.ok()) {
    turn.submit_answers.push_back({request_id, absl::UnavailableError(absl::StrCat(
                                                   "cannot record the job: ", stored.message()))});
    return;
  }
  const std::string job_id = job.record.status.job_id();
  submissions_[request_id] = SubmissionOf(job.record);
  turn.published.push_back(job.record.status);
  turn.submit_answers.push_back({request_id, job_id});
  queue_.Add(std::move(job));
  Schedule(turn);
}

void ControllerCore::OnCancel(const std::string& job_id, ControllerTurn& turn) {
  if (std::optional<QueuedJob> queued = queue_.Remove(job_id)) {
    JobRecord& record = queued->record;
    record.status.set_state(CANCELLED);
    record.status.set_reason("cancelled by the user");
    AddEvent(job_id, record.status.reason(), turn);
    MustRecord(record, turn);
    turn.published.push_back(record.status);
    return Schedule(turn);
  }
  JobLife* job = FindJob(job_id);
  if (job == nullptr) return;
  Deliver(*job, turn, [&](RunTurn& t) { job->Cancel(t); });
  Schedule(turn);
}

absl::Status ControllerCore::OnResume(const ResumeRequest& request, ControllerTurn& turn) {
  Advance(turn);
  JobLife* job = FindJob(request.job_id());
  if (job == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("job ", request.job_id(), " is not PAUSED"));
  }
  absl::Status resumed;
  Deliver(*job, turn, [&](RunTurn& t) { resumed = job->Resume(request, t); });
  Schedule(turn);
  return resumed;
}

void ControllerCore::OnQuotas(Quotas quotas, ControllerTurn& turn) {
  Advance(turn);
  queue_.SetQuotas(std::move(quotas));
  Schedule(turn);
}

// -- a job and its events
// --------------------------------------------------------------------------

JobLife* ControllerCore::FindJob(const std::string& job_id) {
  const auto it = jobs_.find(job_id);
  return it == jobs_.end() ? nullptr : it->second.get();
}

JobLife* ControllerCore::FindEpoch(const std::string& job_id, uint32_t epoch) {
  JobLife* job = FindJob(job_id);
  const bool runs = job != nullptr && job->run() != nullptr && job->status().epoch() == epoch;
  return runs ? job : nullptr;
}

void ControllerCore::Deliver(JobLife& job, ControllerTurn& turn,
                             absl::FunctionRef<void(RunTurn&)> event) {
  RunTurn run_turn;
  run_turn.now = turn.now;
  event(run_turn);
  Apply(job, std::move(run_turn), turn);
}

void ControllerCore::Apply(JobLife& job, RunTurn run_turn, ControllerTurn& turn) {
  const JobStatus& status = job.status();
  for (RunTurn::Call& call : run_turn.calls) {
    KnownNode& node = *nodes_.Find(job.run()->placed()[call.process].node_id);
    Call(node, status.job_id(), status.epoch(), std::move(call.request), turn);
  }
  if (run_turn.rewind.has_value()) MustRecord(*std::move(run_turn.rewind), turn);
  if (run_turn.commit.has_value()) {
    AddWait({status.job_id(), status.epoch(), Wait::What::kCommit}, turn);
    MustRecord(*std::move(run_turn.commit), turn);
  }
  for (const CordonRecord& cordon : run_turn.cordons) SetCordon(cordon, turn);
  for (std::string& event : run_turn.events) AddEvent(status.job_id(), std::move(event), turn);
  if (run_turn.record) MustRecord(job.Record(), turn);
  if (run_turn.confirm) AddWait({status.job_id(), status.epoch(), Wait::What::kRecord}, turn);
  if (run_turn.publish) turn.published.push_back(status);
  if (job.final()) {
    Retire(job, turn);
  } else if (job.paused()) {
    ReleaseIdleRoles(job, turn);
  }
}

void ControllerCore::AddWait(const Wait& wait, ControllerTurn& turn) {
  turn.persist_tokens.push_back(next_token_);
  waits_.emplace(next_token_++, wait);
}

void ControllerCore::Retire(const JobLife& job, ControllerTurn& turn) {
  const std::string job_id = job.status().job_id();
  LeaveNodes(job, turn, [](const KnownNode&) { return true; });
  nodes_.EndJob(job_id);
  jobs_.erase(job_id);
}

void ControllerCore::ReleaseIdleRoles(const JobLife& job, ControllerTurn& turn) {
  LeaveNodes(job, turn, [](const KnownNode& node) { return node.info.role() != MEMORYX; });
}

void ControllerCore::LeaveNodes(const JobLife& job, ControllerTurn& turn,
                                absl::FunctionRef<bool(const KnownNode&)> which) {
  for (const auto& [id, unused] : nodes_.nodes()) {
    KnownNode& node = *nodes_.Find(id);
    if (node.job_id != job.status().job_id() || !which(node)) continue;
    node.job_id.clear();
    node.release.push_back(RefOf(job.status()));
    ReleaseIfQuiet(node, turn);
  }
}

}  // namespace waferstream
