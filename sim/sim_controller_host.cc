#include "sim/sim_controller_host.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/unique_id.h"
#include "controller/admission.h"
#include "controller/job_state.h"

namespace waferstream {
namespace {

// As in production.
constexpr int kAttempts = 3;  // of a call
constexpr double kPatienceLeases = 3;

const char* NameOf(const NodeRequest& request) {
  constexpr const char* kNames[] = {"Prepare", "Connect", "Start", "Commit", "Seal", "Release"};
  static_assert(std::variant_size_v<NodeRequest> == std::size(kNames));
  return kNames[request.index()];
}

bool IsSlow(const NodeRequest& request) {
  return std::holds_alternative<PrepareRequest>(request) ||
         std::holds_alternative<SealRequest>(request);
}

}  // namespace

// One call from its first attempt to its answer.
struct SimControllerHost::OutgoingCall {
  NodeCall call;
  int64_t deadline_ns;
  int attempts = 0;
};

SimControllerHost::SimControllerHost(ChaosWorld& world, MemoryDisk& tree)
    : world_(world), disk_(tree), process_(world, "controller") {
  absl::StatusOr<std::unique_ptr<JobStore>> store = JobStore::Open(":memory:");
  WS_CHECK(store.ok());
  store_ = *std::move(store);
}

SimControllerHost::~SimControllerHost() = default;

// -- lives -------------------------------------------------------------------------------------

void SimControllerHost::Boot() {
  process_.Begin();
  world_.Note("controller", "begins life ", process_.life());
  ControllerTurn turn;
  turn.now = ReadClocks();
  const double lease_s = static_cast<double>(world_.pace.lease_ns) * 1e-9;
  core_ = std::make_unique<ControllerCore>(
      ControllerCore::Options{
          .state_dir = "/state", .lease_s = lease_s, .patience_s = kPatienceLeases * lease_s},
      Restore(), turn);
  Perform(std::move(turn));
}

RestoredState SimControllerHost::Restore() {
  RestoredState restored;
  absl::StatusOr<std::vector<JobRecord>> records = store_->LoadJobs();
  absl::StatusOr<std::vector<CordonRecord>> cordons = store_->LoadCordons();
  WS_CHECK(records.ok() && cordons.ok());
  restored.cordons = *std::move(cordons);
  for (JobRecord& record : *records) {
    const JobStatus& status = record.status;
    RestoredJob job{.record = {}, .job = absl::UnknownError("not queued"), .commits = {}};
    if (status.state() == QUEUED) job.job = Admit(disk_, status.job());
    if (!IsFinal(status.state())) {
      if (auto claim = ClaimAgain(disk_, record)) claims_[status.job_id()] = std::move(claim);
      auto commits = store_->LoadCommits(status.job_id(), JobLife::FirstCommitOf(status));
      WS_CHECK(commits.ok());
      job.commits = *std::move(commits);
    }
    job.record = std::move(record);
    restored.jobs.push_back(std::move(job));
  }
  return restored;
}

void SimControllerHost::Kill() {
  // The one that is being made may be on the disk already.
  if (!writes_.empty() && writes_.front().failures == 0 && world_.messages.Coin()) {
    const Write& write = writes_.front();
    if (store_->Write(write.records).ok()) CheckCommits(write.records);
  }
  process_.End(false);
  core_ = nullptr;
  claims_.clear();
  writes_.clear();
}

template <typename Event>
void SimControllerHost::Handle(Event event) {
  ControllerTurn turn;
  turn.now = ReadClocks();
  event(*core_, turn);
  Perform(std::move(turn));
}

void SimControllerHost::Perform(ControllerTurn turn) {
  for (const std::string& line : turn.log) world_.Note("controller", line);
  for (const StoreRecord& record : turn.records) {
    const auto* event = std::get_if<EventRecord>(&record);
    if (event != nullptr) world_.Note("controller", event->job_id, ": ", event->text);
  }
  if (!turn.records.empty()) {
    writes_.push_back({.records = std::move(turn.records),
                       .tokens = std::move(turn.persist_tokens),
                       .must = turn.must_persist});
    if (writes_.size() == 1) BeginWrite();
  }
  for (NodeCall& call : turn.calls) Make(std::move(call));
  ReleaseClaims(turn.published);
  SetTimer();
}

void SimControllerHost::ReleaseClaims(const std::vector<JobStatus>& published) {
  for (const JobStatus& status : published) {
    if (!IsFinal(status.state())) continue;
    const auto claim = claims_.extract(status.job_id());
    if (!claim.empty()) claim.mapped()->Release();
  }
}

void SimControllerHost::SetTimer() {
  const std::optional<double> due_s = core_->NextTimer();
  if (!due_s.has_value()) return;
  const auto due_ns = static_cast<int64_t>(*due_s * 1e9) + 1;
  const int64_t delay_ns = std::max<int64_t>(due_ns - world_.now_ns(), 1);
  process_.After(delay_ns, [this, timer = ++timer_] {
    if (timer != timer_) return;
    world_.Note("controller", "timer");
    Handle([](ControllerCore& core, ControllerTurn& turn) { core.OnTimer(turn); });
  });
}

// -- the store ---------------------------------------------------------------------------------

void SimControllerHost::BeginWrite() {
  int64_t takes_ns = world_.delays.Delay(world_.pace.disk_ns);
  if (world_.Strikes(world_.weather.write_slow)) {
    world_.NoteFault("slow write", "controller");
    takes_ns += world_.pace.lease_ns;
  }
  process_.After(takes_ns, [this] { EndWrite(); });
}

// The order of records is the order of events: what comes behind one that is refused waits, too.
void SimControllerHost::EndWrite() {
  Write& write = writes_.front();
  absl::Status stored = TryWrite(write);
  if (!stored.ok() && write.must) {
    if (write.failures++ == 0) {
      Handle([&](ControllerCore& core, ControllerTurn& turn) {
        core.OnStoreTrouble(std::string(stored.message()), turn);
      });
    }
    return process_.After(world_.pace.retry_ns, [this] { EndWrite(); });
  }
  const std::vector<uint64_t> tokens = std::move(write.tokens);
  writes_.pop_front();
  if (!writes_.empty()) BeginWrite();
  for (const uint64_t token : tokens) {
    Handle(
        [&](ControllerCore& core, ControllerTurn& turn) { core.OnPersisted(token, stored, turn); });
  }
}

absl::Status SimControllerHost::TryWrite(const Write& write) {
  if (world_.Strikes(world_.weather.write_fails * (write.failures > 0 ? 10 : 1))) {
    world_.NoteFault("failed write", "controller");
    return absl::UnavailableError("job store: disk I/O error");
  }
  RETURN_IF_ERROR(store_->Write(write.records));
  CheckCommits(write.records);
  return absl::OkStatus();
}

// A commit is history: on record once, or again with the same values.
void SimControllerHost::CheckCommits(const std::vector<StoreRecord>& records) {
  for (const StoreRecord& record : records) {
    const auto* commit = std::get_if<CommitRecord>(&record);
    if (commit == nullptr) continue;
    const auto [it, is_new] = committed_.try_emplace({commit->job_id, commit->step}, commit->loss);
    world_.Note("controller", "committed step ", commit->step, is_new ? "" : " again");
    if (it->second == commit->loss) continue;
    world_.Violate(absl::StrCat("step ", commit->step, " was committed with loss ", it->second,
                                ", and again with ", commit->loss));
  }
}

std::optional<JobStatus> SimControllerHost::OnRecord(const std::string& request_id) {
  const absl::StatusOr<std::vector<JobRecord>> records = store_->LoadJobs();
  WS_CHECK(records.ok());
  for (const JobRecord& record : *records) {
    if (record.request_id == request_id) return record.status;
  }
  return std::nullopt;
}

std::vector<double> SimControllerHost::Losses(const std::string& job_id) {
  const auto losses = store_->LoadLosses(job_id, UINT32_MAX);
  WS_CHECK(losses.ok());
  return *losses;
}

NodeList SimControllerHost::Nodes() const {
  return core_ == nullptr ? NodeList() : core_->ListNodes(world_.now_s());
}

// -- calls to nodes ----------------------------------------------------------------------------

SimNode* SimControllerHost::NodeAt(const std::string& address) const {
  const std::string host = address.substr(0, address.find(':'));
  for (SimNode* node : nodes_) {
    if (node->id() == host) return node;
  }
  return nullptr;
}

void SimControllerHost::Make(NodeCall call) {
  world_.Note("controller", "calls ", NameOf(call.request), " of ", call.node_id);
  const int64_t patience_ns =
      IsSlow(call.request) ? world_.pace.slow_call_timeout_ns : world_.pace.call_timeout_ns;
  Attempt(
      std::make_shared<OutgoingCall>(OutgoingCall{std::move(call), world_.now_ns() + patience_ns}));
}

// As node_client does: who does not listen is waited for; a call that broke is made again.
void SimControllerHost::Attempt(std::shared_ptr<OutgoingCall> out) {
  const auto finish = [this, out](const absl::StatusOr<NodeReply>& reply) {
    Handle([&](ControllerCore& core, ControllerTurn& turn) {
      world_.Note("controller", NameOf(out->call.request), " of ", out->call.node_id, ": ",
                  reply.ok() ? "ok" : reply.status().ToString());
      core.OnCallDone({out->call, reply.status(), reply.ok() ? *reply : Empty()}, turn);
    });
  };
  const auto refused = [this, out, finish] {
    process_.After(world_.pace.retry_ns, [this, out, finish] {
      if (world_.now_ns() < out->deadline_ns) return Attempt(out);
      finish(absl::DeadlineExceededError("nobody listens"));
    });
  };
  SimNode* const node = NodeAt(out->call.address);
  ControlFlight<NodeReply>::Begin(
      world_, {.from = &process_,
               .to = &node->process(),
               .serve =
                   [node, out](NodeAnswer answer) {
                     if (node->address() != out->call.address) {
                       return answer(absl::UnavailableError("connection refused"));
                     }
                     node->Serve(out->call.request, std::move(answer));
                   },
               .done =
                   [this, out, finish](const absl::StatusOr<NodeReply>& reply) {
                     if (absl::IsUnavailable(reply.status()) && ++out->attempts < kAttempts &&
                         world_.now_ns() < out->deadline_ns) {
                       return Attempt(out);
                     }
                     finish(reply);
                   },
               .refused = refused,
               .timeout_ns = std::max<int64_t>(out->deadline_ns - world_.now_ns(), 1)});
}

// -- users and nodes ---------------------------------------------------------------------------

void SimControllerHost::Submit(const std::string& request_id, const JobSpec& job) {
  absl::StatusOr<AdmittedJob> admitted = Admit(disk_, job);
  if (!admitted.ok()) return world_.Violate(std::string(admitted.status().message()));
  // Asked again, it is the same job.
  const auto known = core_->FindRequest(request_id, job);
  WS_CHECK(known.ok());
  Handle([&](ControllerCore& core, ControllerTurn& turn) {
    const JobIdentity identity = core.NewIdentity(Base32(world_.identities.Bits64()));
    if (!known->has_value()) {
      auto claim = ClaimFor(disk_, identity.job_id, *admitted);
      if (!claim.ok()) return world_.Violate(std::string(claim.status().message()));
      if (*claim != nullptr) claims_[identity.job_id] = *std::move(claim);
    }
    core.OnSubmit(request_id, identity, *std::move(admitted), turn);
  });
}

void SimControllerHost::Resume(const std::string& job_id, const std::string& request_id) {
  ResumeRequest request;
  request.set_job_id(job_id);
  request.set_request_id(request_id);
  Handle([&](ControllerCore& core, ControllerTurn& turn) {
    const absl::Status resumed = core.OnResume(request, turn);
    world_.Note("user", "resumes: ", resumed.ToString());
  });
}

absl::Status SimControllerHost::Cordon(const std::string& node_id, CordonRequest::Action action) {
  CordonRequest request;
  request.set_node_id(node_id);
  request.set_action(action);
  absl::Status done;
  Handle([&](ControllerCore& core, ControllerTurn& turn) {
    done = core.OnCordon(request, turn).status();
  });
  world_.Note("user", CordonRequest::Action_Name(action), " ", node_id, ": ", done.ToString());
  return done;
}

void SimControllerHost::Register(const RegisterRequest& request,
                                 std::function<void(absl::StatusOr<RegisterReply>)> done) {
  Handle([&](ControllerCore& core, ControllerTurn& turn) {
    const absl::Status status = core.OnRegister(request, turn);
    if (!status.ok()) return done(status);
    RegisterReply reply;
    reply.set_lease_ms(static_cast<uint32_t>(world_.pace.lease_ns / 1'000'000));
    reply.set_heartbeat_ms(static_cast<uint32_t>(world_.pace.heartbeat_ns / 1'000'000));
    done(reply);
  });
}

void SimControllerHost::Heartbeat(const HeartbeatRequest& request,
                                  std::function<void(absl::Status)> done) {
  Handle(
      [&](ControllerCore& core, ControllerTurn& turn) { done(core.OnHeartbeat(request, turn)); });
}

void SimControllerHost::Report(const NodeReport& report, std::function<void(absl::Status)> done) {
  Handle([&](ControllerCore& core, ControllerTurn& turn) { done(core.OnReport(report, turn)); });
}

}  // namespace waferstream
