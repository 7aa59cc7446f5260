#include "controller/fake_cluster.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "plan/shard_squares.h"

namespace waferstream {
namespace {

Plan CompileOrDie(const JobSpec& job) {
  absl::StatusOr<Plan> plan = Compile(job, RequestedShape(job));
  WS_CHECK(plan.ok());
  return *std::move(plan);
}

}  // namespace

JobSpec SmallJob() {
  JobSpec job = TestJob();
  job.mutable_training()->set_steps(3);
  job.mutable_cluster()->set_wafers(2);
  job.mutable_cluster()->set_memoryx(2);
  job.mutable_checkpoint()->set_every(2);
  return job;
}

std::string KindOf(const NodeRequest& request) {
  constexpr const char* kNames[] = {"Prepare", "Connect", "Start", "Commit", "Seal", "Release"};
  return kNames[request.index()];
}

FakeCluster::FakeCluster(RestoredState restored, double now) : now_s(now) {
  Do([&](ControllerTurn& turn) {
    core_ = std::make_unique<ControllerCore>(ControllerCore::Options{.lease_s = 3, .patience_s = 9},
                                             std::move(restored), turn);
  });
}

void FakeCluster::Do(const std::function<void(ControllerTurn&)>& event) {
  ControllerTurn turn;
  turn.now.steady_s = now_s;
  turn.now.unix_s = 1e9 + now_s;
  event(turn);
  for (const StoreRecord& record : turn.records) Keep(record);
  if (!turn.records.empty()) must_persist = turn.must_persist;
  writes.insert(writes.end(), turn.persist_tokens.begin(), turn.persist_tokens.end());
  for (NodeCall& call : turn.calls) {
    history.push_back(absl::StrCat(KindOf(call.request), " ", call.node_id));
    if (std::holds_alternative<PrepareRequest>(call.request)) {
      Epoch& epoch = epochs_[call.job_id];
      if (epoch.epoch != call.epoch) epoch = {call.epoch, {}, 0};
      epoch.prepares.push_back(call);
    }
    calls.push_back(std::move(call));
  }
  for (JobStatus& status : turn.published) statuses[status.job_id()] = std::move(status);
  for (auto& answer : turn.submit_answers)
    answers.insert_or_assign(answer.request_id, answer.job_id);
}

void FakeCluster::Keep(const StoreRecord& record) {
  if (const auto* commit = std::get_if<CommitRecord>(&record)) {
    history.push_back(absl::StrCat("commit ", commit->step));
    losses[commit->job_id].push_back(commit->loss);
    commits.push_back(*commit);
  } else if (const auto* event = std::get_if<EventRecord>(&record)) {
    events.push_back(absl::StrCat(event->job_id, ": ", event->text));
  } else if (const auto* rewind = std::get_if<RewindRecord>(&record)) {
    history.push_back(absl::StrCat("rewind to ", rewind->step));
    losses[rewind->job_id].resize(rewind->step);
  } else if (const auto* job = std::get_if<JobRecord>(&record)) {
    records.push_back(*job);
  }
}

absl::Status FakeCluster::AddNode(const std::string& id, Role role, const std::string& isa,
                                  uint64_t incarnation) {
  RegisterRequest request;
  request.set_node_id(id);
  request.set_role(role);
  request.set_host("127.0.0.1");
  request.set_control_port(1000);
  request.set_fabric_port(2000);
  request.set_numerics(numerics);
  request.set_kernel_isa(role == WAFER ? isa : "");
  request.set_incarnation(incarnation);
  if (holds.contains(id)) *request.mutable_holds() = holds.at(id);
  request.set_leaving(leaving.contains(id));
  incarnations_[id] = incarnation;
  absl::Status status;
  Do([&](ControllerTurn& turn) { status = core_->OnRegister(request, turn); });
  return status;
}

void FakeCluster::AddNodes() {
  for (const char* id : {"m0", "m1"}) WS_CHECK(AddNode(id, MEMORYX).ok());
  WS_CHECK(AddNode("s0", SWARMX).ok());
  for (const char* id : {"w0", "w1"}) WS_CHECK(AddNode(id, WAFER).ok());
}

// In small steps, because a core that is called late takes itself for the one that was away.
void FakeCluster::Pass(double seconds, const std::vector<std::string>& alive) {
  const double end_s = now_s + seconds;
  while (now_s < end_s) {
    now_s = std::min(now_s + 0.1, end_s);
    for (const auto& [id, unused] : incarnations_) {
      if (!alive.empty() && std::find(alive.begin(), alive.end(), id) == alive.end()) continue;
      Beat(id);
    }
    Do([&](ControllerTurn& turn) { core_->OnTimer(turn); });
  }
}

void FakeCluster::Beat(const std::string& node_id) {
  HeartbeatRequest beat;
  beat.set_node_id(node_id);
  beat.set_incarnation(incarnations_.at(node_id));
  if (holds.contains(node_id)) *beat.mutable_holds() = holds.at(node_id);
  beat.set_leaving(leaving.contains(node_id));
  Do([&](ControllerTurn& turn) {
    const absl::StatusOr<HeartbeatReply> reply = core_->OnHeartbeat(beat, turn);
    if (!reply.ok()) return;  // told to register again; it does that in AddNode
    if (reply->may_go()) may_go.insert(node_id);
  });
}

void FakeCluster::Submit(const JobSpec& job, const std::string& request_id, AdmittedJob admitted) {
  admitted.plan = CompileOrDie(job);
  admitted.submitted = job;
  const auto known = core_->FindRequest(request_id, job);
  const bool is_new = known.ok() && !known->has_value();
  Do([&](ControllerTurn& turn) {
    core_->OnSubmit(request_id, is_new ? core_->NewIdentity("t", user) : JobIdentity(),
                    std::move(admitted), turn);
  });
}

void FakeCluster::Cancel(const std::string& job_id) {
  Do([&](ControllerTurn& turn) { core_->OnCancel(job_id, turn); });
}

void FakeCluster::SetQuotas(const Quotas& quotas) {
  Do([&](ControllerTurn& turn) { core_->OnQuotas(quotas, turn); });
}

absl::Status FakeCluster::Resume(const ResumeRequest& request) {
  absl::Status status;
  Do([&](ControllerTurn& turn) { status = core_->OnResume(request, turn); });
  return status;
}

absl::Status FakeCluster::Cordon(const std::string& node_id, CordonRequest::Action action) {
  CordonRequest request;
  request.set_node_id(node_id);
  request.set_action(action);
  absl::Status status;
  Do([&](ControllerTurn& turn) { status = core_->OnCordon(request, turn).status(); });
  return status;
}

void FakeCluster::StoreTrouble(const std::string& what) {
  Do([&](ControllerTurn& turn) { core_->OnStoreTrouble(what, turn); });
}

absl::Status FakeCluster::Report(NodeReport report) {
  absl::Status status;
  Do([&](ControllerTurn& turn) { status = core_->OnReport(report, turn); });
  return status;
}

void FakeCluster::Persist(const absl::Status& status) {
  const uint64_t token = writes.front();
  writes.pop_front();
  Do([&](ControllerTurn& turn) {
    if (status.ok()) core_->OnStoreWell(turn);
    core_->OnPersisted(token, status, turn);
  });
}

void FakeCluster::Answer(const NodeCall& call, const absl::Status& status) {
  NodeCallResult result;
  result.call = call;
  result.status = status;
  const auto failure = failures.find(absl::StrCat(KindOf(call.request), " ", call.node_id));
  if (failure != failures.end()) result.status = failure->second;
  if (const auto* seal = std::get_if<SealRequest>(&call.request)) {
    SealReply reply;
    reply.set_path(absl::StrCat("/checkpoints/", seal->steps_done()));
    reply.set_weights_hash(absl::StrCat("weights", seal->steps_done()));
    reply.set_optimizer_hash(absl::StrCat("optimizer", seal->steps_done()));
    result.reply = reply;
  }
  Do([&](ControllerTurn& turn) { core_->OnCallDone(result, turn); });
}

bool FakeCluster::StepOnce() {
  if (!writes.empty()) {
    Persist();
    return true;
  }
  if (!calls.empty()) {
    const NodeCall call = std::move(calls.front());
    calls.pop_front();
    Answer(call);
    return true;
  }
  for (const auto& [job_id, status] : statuses) {
    if (status.state() != RUNNING) continue;
    const std::vector<NodeReport> reports = NextReports(job_id);
    Epoch& epoch = epochs_[job_id];
    // One of a node that is lost is refused, and goes nowhere.
    if (epoch.reported < reports.size()) {
      Report(reports[epoch.reported++]).IgnoreError();
      return true;
    }
  }
  return false;
}

void FakeCluster::Settle() {
  while (StepOnce()) {
  }
}

void FakeCluster::SettleCalls() {
  while (!writes.empty() || !calls.empty()) StepOnce();
}

NodeReport FakeCluster::MakeReport(const std::string& job_id, const std::string& node_id) {
  NodeReport report;
  report.set_node_id(node_id);
  report.set_job_id(job_id);
  report.set_epoch(epochs_[job_id].epoch);
  report.set_sequence(extra_sequence_++);
  return report;
}

std::vector<PrepareRequest> FakeCluster::Prepared(const std::string& job_id) const {
  std::vector<PrepareRequest> requests;
  for (const NodeCall& call : epochs_.at(job_id).prepares) {
    requests.push_back(std::get<PrepareRequest>(call.request));
  }
  return requests;
}

// The first process of a role does the work of all; the sums are those of a loss of 2 and a
// gradient norm of 3.
std::vector<NodeReport> FakeCluster::NextReports(const std::string& job_id) {
  const JobStatus& status = statuses.at(job_id);
  const Epoch& epoch = epochs_[job_id];
  const PrepareRequest terms = std::get<PrepareRequest>(epoch.prepares.at(0).request);
  const Plan plan = *Compile(terms.job(), ShapeOf(terms.roster(), terms.shards()));
  std::vector<NodeReport> reports;
  std::map<std::string, uint64_t> sequence;
  const auto each = [&](Role role, const std::function<void(int, NodeReport&)>& fill) {
    int index = 0;
    for (const NodeCall& call : epoch.prepares) {
      if (std::get<PrepareRequest>(call.request).role() != role) continue;
      NodeReport& report = reports.emplace_back();
      report.set_node_id(call.node_id);
      report.set_job_id(job_id);
      report.set_epoch(epoch.epoch);
      report.set_sequence(sequence[call.node_id]++);
      fill(index++, report);
      if (edit) edit(report);
    }
  };
  const double tokens_per_leaf =
      status.job().training().micro_batch() * status.job().model().context();
  const auto validate = [&](uint64_t step) {
    each(WAFER, [&](int index, NodeReport& report) {
      WaferValidation& validation = *report.mutable_wafer_validation();
      validation.set_step(step);
      for (int leaf = 0; index == 0 && leaf < plan.validation_leaves; ++leaf) {
        validation.add_micro_batch(leaf);
        validation.add_loss_sum(4 * tokens_per_leaf);
      }
    });
  };
  const auto checkpoint = [&](uint64_t steps_done) {
    each(MEMORYX, [&](int, NodeReport& report) {
      report.mutable_checkpoint_written()->set_steps_done(steps_done);
    });
  };
  const uint64_t start = terms.start_step();
  if (start > 0 && plan.ValidationDue(start)) validate(start - 1);
  if (terms.checkpoint_now()) checkpoint(start);
  for (uint64_t step = start; step < status.steps() && step <= status.step(); ++step) {
    each(WAFER, [&](int index, NodeReport& report) {
      WaferStep& wafer = *report.mutable_wafer_step();
      wafer.set_step(step);
      wafer.set_step_seconds(index == 0 ? 1 : 2);
      wafer.set_exposed_seconds(0.5);
      wafer.set_sram_peak_bytes(1000 + index);
      wafer.mutable_traffic()->set_weight_bytes_in(10 * (step + 1));
      for (int leaf = 0; index == 0 && leaf < plan.leaves; ++leaf) {
        wafer.add_micro_batch(leaf);
        wafer.add_loss_sum(2 * tokens_per_leaf);
      }
    });
    each(MEMORYX, [&](int index, NodeReport& report) {
      report.mutable_gradients_ready()->set_step(step);
      if (index > 0) return;
      std::vector<int> tiles(plan.tiles.size());
      std::iota(tiles.begin(), tiles.end(), 0);
      std::vector<double> squares(plan.tiles.size(), 0.0);
      squares[0] = 9;
      for (const ShardSquares& shard : SquaresByShard(plan, tiles, squares)) {
        *report.mutable_gradients_ready()->add_shards() = shard;
      }
    });
    if (status.step() <= step) break;  // the rest follows the commit
    if (plan.ValidationDue(step + 1)) validate(step);
    if (plan.CheckpointDue(step + 1)) checkpoint(step + 1);
  }
  return reports;
}

NodeStatus FakeCluster::Node(const std::string& id) const {
  const NodeList list = core_->ListNodes(now_s);
  for (const NodeStatus& node : list.nodes()) {
    if (node.node_id() == id) return node;
  }
  WS_CHECK(false && "no such node");
}

bool AllIdle(const FakeCluster& cluster) {
  constexpr const char* kNodes[] = {"m0", "m1", "s0", "w0", "w1"};
  return std::all_of(std::begin(kNodes), std::end(kNodes),
                     [&](const char* id) { return cluster.Node(id).state() == IDLE; });
}

EpochRef EpochOf(const std::string& job_id, uint32_t epoch) {
  EpochRef ref;
  ref.set_job_id(job_id);
  ref.set_epoch(epoch);
  return ref;
}

ResumeRequest ResumeOf(const std::string& request_id) {
  ResumeRequest request;
  request.set_request_id(request_id);
  request.set_job_id("job-1-t");
  return request;
}

std::vector<size_t> Where(const FakeCluster& cluster, const std::string& what) {
  std::vector<size_t> where;
  for (size_t i = 0; i < cluster.history.size(); ++i) {
    if (cluster.history[i].rfind(what, 0) == 0) where.push_back(i);
  }
  return where;
}

}  // namespace waferstream
