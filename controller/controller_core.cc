#include "controller/controller_core.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"

namespace waferstream {
namespace {

void AddEvent(const std::string& job_id, std::string text, ControllerTurn& turn) {
  turn.records.push_back(EventRecord{job_id, turn.now.unix_s, std::move(text)});
}

// Traffic is only worth knowing while the job runs.
JobRecord ForStore(const JobRecord& record, const JobStatus& status) {
  JobRecord stored{record.number, record.request_id, status};
  stored.status.clear_traffic();
  return stored;
}

Roster MakeRoster(const std::vector<PlacedProcess>& placed, NodeTable& nodes) {
  Roster roster;
  for (const PlacedProcess& process : placed) {
    const RegisterRequest& info = nodes.Find(process.node_id)->info;
    Member* member = process.role == MEMORYX  ? roster.add_memoryx()
                     : process.role == SWARMX ? roster.add_swarmx()
                                              : roster.add_wafers();
    member->set_node_id(info.node_id());
    member->set_host(info.host());
    member->set_fabric_port(info.fabric_port());
  }
  return roster;
}

}  // namespace

ControllerCore::ControllerCore(Options options, std::vector<RestoredJob> restored,
                               ControllerTurn& turn)
    : options_(std::move(options)), nodes_(options_.lease_s, Interrupted(restored)) {
  for (RestoredJob& job : restored) Restore(std::move(job), turn);
  Schedule(turn);
}

std::vector<EpochRef> ControllerCore::Interrupted(const std::vector<RestoredJob>& restored) {
  std::vector<EpochRef> epochs;
  for (const RestoredJob& job : restored) {
    const JobStatus& status = job.record.status;
    if (status.state() != PREPARING && status.state() != RUNNING) continue;
    EpochRef& ref = epochs.emplace_back();
    ref.set_job_id(status.job_id());
    ref.set_epoch(status.epoch());
  }
  return epochs;
}

void ControllerCore::Restore(RestoredJob restored, ControllerTurn& turn) {
  JobRecord& record = restored.record;
  next_number_ = std::max(next_number_, record.number + 1);
  job_of_[record.request_id] = record.status.job_id();
  std::string failure;
  if (record.status.state() == QUEUED) {
    if (!restored.job.ok()) failure = std::string(restored.job.status().message());
  } else if (record.status.state() < DONE) {
    failure = "controller restarted";
  }
  if (!failure.empty()) {
    record.status.set_state(FAILED);
    record.status.set_reason(failure);
    record.status.set_seconds_left(0);
    turn.records.push_back(record);
    AddEvent(record.status.job_id(), absl::StrCat("failed: ", failure), turn);
  }
  turn.published.push_back(record.status);
  if (record.status.state() == QUEUED) {
    queue_.Add({std::move(record), *std::move(restored.job)});
  }
}

// -- nodes
// -----------------------------------------------------------------------------------------

absl::Status ControllerCore::OnRegister(const RegisterRequest& request, ControllerTurn& turn) {
  const absl::StatusOr<bool> replaced = nodes_.Register(request, turn.now.steady_s);
  if (!replaced.ok()) return replaced.status();
  turn.log.push_back(absl::StrCat("node ", request.node_id(), " registered (",
                                  RoleName(request.role()), ", ", request.host(), ":",
                                  request.control_port(), ")"));
  if (*replaced) LoseNode(request.node_id(), "was restarted", turn);
  ReleaseIfQuiet(*nodes_.Find(request.node_id()), turn);
  Schedule(turn);
  return absl::OkStatus();
}

absl::Status ControllerCore::OnHeartbeat(const HeartbeatRequest& request, ControllerTurn& turn) {
  return nodes_.Heard(request.node_id(), request.incarnation(), turn.now.steady_s);
}

absl::Status ControllerCore::OnReport(const NodeReport& report, ControllerTurn& turn) {
  RETURN_IF_ERROR(nodes_.Heard(report.node_id(), std::nullopt, turn.now.steady_s));
  LiveRun* live = FindRun(report.job_id(), report.epoch());
  if (live == nullptr) return absl::OkStatus();
  const std::optional<int> from = live->run->ProcessOn(report.node_id());
  if (!from.has_value()) return absl::OkStatus();
  Deliver(*live, turn, [&](JobRun& run, RunTurn& t) { run.OnReport(*from, report, t); });
  return absl::OkStatus();
}

void ControllerCore::OnTimer(ControllerTurn& turn) {
  const std::vector<std::string> lost = nodes_.Expire(turn.now.steady_s);
  for (const std::string& node_id : lost) {
    LoseNode(node_id, absl::StrFormat("was not heard of for %.1f s", options_.lease_s), turn);
  }
  if (!lost.empty()) Schedule(turn);
}

void ControllerCore::LoseNode(const std::string& node_id, const std::string& how,
                              ControllerTurn& turn) {
  turn.log.push_back(absl::StrCat("node ", node_id, " ", how));
  const std::string job_id = nodes_.Find(node_id)->job_id;
  const auto it = runs_.find(job_id);
  if (it == runs_.end()) return;
  const int process = it->second.run->ProcessOn(node_id).value();
  Deliver(it->second, turn, [&](JobRun& run, RunTurn& t) { run.OnNodeLost(process, how, t); });
}

absl::StatusOr<std::string> ControllerCore::AddressOf(const std::string& node_id) {
  const KnownNode* node = nodes_.Find(node_id);
  if (node == nullptr) return absl::NotFoundError(absl::StrCat("no node ", node_id));
  return node->address();
}

// -- calls
// -----------------------------------------------------------------------------------------

void ControllerCore::Call(KnownNode& node, const std::string& job_id, uint32_t epoch,
                          NodeRequest request, ControllerTurn& turn) {
  ++node.calls_in_flight;
  turn.calls.push_back({.job_id = job_id,
                        .epoch = epoch,
                        .node_id = node.info.node_id(),
                        .incarnation = node.info.incarnation(),
                        .address = node.address(),
                        .request = std::move(request)});
}

void ControllerCore::ReleaseIfQuiet(KnownNode& node, ControllerTurn& turn) {
  if (node.lost || node.calls_in_flight > 0 || node.release.empty()) return;
  const EpochRef& ref = node.release.front();
  Call(node, ref.job_id(), ref.epoch(), ReleaseCall{ref}, turn);
}

void ControllerCore::OnCallDone(const NodeCallResult& result, ControllerTurn& turn) {
  const NodeCall& call = result.call;
  KnownNode* node = nodes_.Find(call.node_id);
  if (node == nullptr || node->info.incarnation() != call.incarnation) return;
  --node->calls_in_flight;
  // A Release that failed is not tried again: the node's next Prepare releases what it held.
  if (std::holds_alternative<ReleaseCall>(call.request)) node->release.erase(node->release.begin());
  LiveRun* live = FindRun(call.job_id, call.epoch);
  if (live != nullptr) {
    const int process = live->run->ProcessOn(call.node_id).value();
    Deliver(*live, turn, [&](JobRun& run, RunTurn& t) {
      run.OnCallDone(process, call.request, result.status, result.reply, t);
    });
  }
  ReleaseIfQuiet(*node, turn);
  if (node->free()) Schedule(turn);
}

// -- jobs
// ------------------------------------------------------------------------------------------

std::optional<std::string> ControllerCore::FindRequest(const std::string& request_id) const {
  const auto it = job_of_.find(request_id);
  if (it == job_of_.end()) return std::nullopt;
  return it->second;
}

void ControllerCore::OnSubmit(const std::string& request_id, AdmittedJob job,
                              ControllerTurn& turn) {
  if (const auto known = FindRequest(request_id)) {
    turn.submit_answers.push_back({request_id, *known});
    return;
  }
  for (const auto& [token, submit] : submits_) {
    if (submit.record.request_id == request_id) return;  // answered with that one
  }
  if (queue_.full()) {
    turn.submit_answers.push_back(
        {request_id, absl::ResourceExhaustedError(
                         absl::StrCat("the queue is full (", JobQueue::kCapacity, " jobs)"))});
    return;
  }
  QueuedJob queued = MakeJob(request_id, std::move(job), turn.now);
  turn.records.push_back(queued.record);
  AddEvent(queued.record.status.job_id(), "submitted", turn);
  turn.persist_token = next_token_++;
  submits_.emplace(turn.persist_token, std::move(queued));
}

QueuedJob ControllerCore::MakeJob(const std::string& request_id, AdmittedJob job, const Now& now) {
  QueuedJob queued;
  queued.record.number = next_number_++;
  queued.record.request_id = request_id;
  JobStatus& status = queued.record.status;
  status.set_job_id(absl::StrFormat("j-%06d", queued.record.number));
  JobSpec& spec = job.plan.job;
  if (spec.checkpoint().dir().empty()) {
    spec.mutable_checkpoint()->set_dir(
        absl::StrCat(options_.state_dir, "/jobs/", status.job_id(), "/checkpoints"));
  }
  status.set_name(spec.name());
  status.set_state(QUEUED);
  status.set_step(spec.has_generate() ? 0 : job.start_step);
  status.set_steps(spec.has_generate() ? spec.generate().tokens() : spec.training().steps());
  status.set_parameters(job.plan.parameter_elements);
  status.set_sram_planned_bytes(job.plan.sram.bytes);
  status.set_submitted_unix_s(now.unix_s);
  *status.mutable_job() = spec;
  queued.job = std::move(job);
  return queued;
}

void ControllerCore::OnPersisted(uint64_t token, const absl::Status& stored, ControllerTurn& turn) {
  if (auto submit = submits_.extract(token)) {
    return OnSubmitPersisted(std::move(submit.mapped()), stored, turn);
  }
  const auto commit = commits_.extract(token);
  WS_CHECK(!commit.empty());
  LiveRun* live = FindRun(commit.mapped().job_id, commit.mapped().epoch);
  if (live == nullptr) return;
  Deliver(*live, turn, [&](JobRun& run, RunTurn& t) { run.OnCommitDurable(stored, t); });
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
  job_of_[request_id] = job_id;
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
    turn.records.push_back(record);
    turn.published.push_back(record.status);
    return Schedule(turn);
  }
  const auto it = runs_.find(job_id);
  if (it == runs_.end()) return;
  Deliver(it->second, turn, [](JobRun& run, RunTurn& t) { run.Cancel(t); });
}

// -- runs
// ------------------------------------------------------------------------------------------

void ControllerCore::Schedule(ControllerTurn& turn) {
  std::string reason;
  while (!queue_.empty()) {
    absl::StatusOr<std::vector<PlacedProcess>> placed = Place(queue_.head().job.plan.shape, nodes_);
    if (!placed.ok()) {
      reason = std::string(placed.status().message());
      break;
    }
    StartRun(queue_.Pop(), *std::move(placed), turn);
  }
  for (JobStatus& status : queue_.Explain(reason)) turn.published.push_back(std::move(status));
}

void ControllerCore::StartRun(QueuedJob job, std::vector<PlacedProcess> placed,
                              ControllerTurn& turn) {
  JobStatus status = job.record.status;
  status.set_epoch(1);
  const std::string job_id = status.job_id();
  LiveRun live{.record = std::move(job.record), .incarnations = {}, .run = nullptr};
  for (const PlacedProcess& process : placed) {
    KnownNode& node = *nodes_.Find(process.node_id);
    node.job_id = job_id;
    live.incarnations.push_back(node.info.incarnation());
    if (process.role == WAFER) status.set_kernel_isa(node.info.kernel_isa());
  }
  const ClusterShape& shape = job.job.plan.shape;
  AddEvent(job_id,
           absl::StrFormat("epoch %d: preparing %d MemoryX, %d SwarmX and %d wafer nodes",
                           status.epoch(), shape.memoryx, shape.swarmx, shape.wafers),
           turn);
  Roster roster = MakeRoster(placed, nodes_);
  live.run = std::make_unique<JobRun>(std::move(status), std::move(job.job), std::move(roster),
                                      std::move(placed));
  LiveRun& started = runs_.emplace(job_id, std::move(live)).first->second;
  Deliver(started, turn, [](JobRun& run, RunTurn& t) { run.Begin(t); });
}

ControllerCore::LiveRun* ControllerCore::FindRun(const std::string& job_id, uint32_t epoch) {
  const auto it = runs_.find(job_id);
  if (it == runs_.end() || it->second.run->status().epoch() != epoch) return nullptr;
  return &it->second;
}

void ControllerCore::Deliver(LiveRun& live, ControllerTurn& turn,
                             absl::FunctionRef<void(JobRun&, RunTurn&)> event) {
  RunTurn run_turn;
  run_turn.now = turn.now;
  event(*live.run, run_turn);
  Apply(live, std::move(run_turn), turn);
}

void ControllerCore::Apply(LiveRun& live, RunTurn run_turn, ControllerTurn& turn) {
  const JobStatus& status = live.run->status();
  for (RunTurn::Call& call : run_turn.calls) {
    KnownNode& node = *nodes_.Find(live.run->placed()[call.process].node_id);
    Call(node, status.job_id(), status.epoch(), std::move(call.request), turn);
  }
  if (run_turn.commit.has_value()) {
    WS_CHECK(turn.persist_token == 0);
    turn.persist_token = next_token_++;
    commits_.emplace(turn.persist_token, CommitWait{status.job_id(), status.epoch()});
    turn.records.push_back(*std::move(run_turn.commit));
  }
  for (std::string& event : run_turn.events) AddEvent(status.job_id(), std::move(event), turn);
  if (run_turn.record) turn.records.push_back(ForStore(live.record, status));
  if (run_turn.publish) turn.published.push_back(status);
  if (live.run->ended()) Retire(live, turn);
}

void ControllerCore::Retire(const LiveRun& live, ControllerTurn& turn) {
  EpochRef ref;
  ref.set_job_id(live.run->status().job_id());
  ref.set_epoch(live.run->status().epoch());
  const std::vector<PlacedProcess>& placed = live.run->placed();
  for (size_t process = 0; process < placed.size(); ++process) {
    KnownNode& node = *nodes_.Find(placed[process].node_id);
    node.job_id.clear();
    if (node.info.incarnation() != live.incarnations[process]) continue;  // a new process
    node.release.push_back(ref);
    ReleaseIfQuiet(node, turn);
  }
  runs_.erase(ref.job_id());
}

}  // namespace waferstream
