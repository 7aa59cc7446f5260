#include "controller/controller_host.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mark.h"
#include "base/status.h"
#include "base/unique_id.h"
#include "controller/admission.h"
#include "controller/job_difference.h"
#include "controller/node_table.h"
#include "proto/job_state.h"

namespace waferstream {
namespace {

// A lost node that was only slow is back within one lease; a controller's nodes try every 0.2 s.
constexpr double kPatienceLeases = 3;

uint64_t CommitsAmong(const std::vector<StoreRecord>& records) {
  return std::count_if(records.begin(), records.end(), [](const StoreRecord& record) {
    return std::holds_alternative<CommitRecord>(record);
  });
}

bool IsOfSteps(const std::vector<StoreRecord>& records) {
  return CommitsAmong(records) == records.size();
}

}  // namespace

ControllerHost::ControllerHost(ControllerWorld world, Options options)
    : world_(std::move(world)),
      options_(std::move(options)),
      disk_(world_.lanes, {.name = "store", .slow = true}),
      admission_(world_.lanes, {.name = "admission", .slow = true}) {}

// -- its life ----------------------------------------------------------------------------------

absl::Status ControllerHost::Restore() {
  ASSIGN_OR_RETURN(RestoredState restored, Load());
  ControllerTurn turn = NewTurn();
  const double lease_s = options_.lease_ms / 1000.0;
  core_ = std::make_unique<ControllerCore>(
      ControllerCore::Options{
          .lease_s = lease_s, .patience_s = kPatienceLeases * lease_s, .quotas = options_.quotas},
      std::move(restored), turn);
  Perform(std::move(turn));
  return absl::OkStatus();
}

absl::StatusOr<RestoredState> ControllerHost::Load() {
  RestoredState restored;
  ASSIGN_OR_RETURN(std::vector<JobRecord> records, world_.store.LoadJobs());
  ASSIGN_OR_RETURN(restored.cordons, world_.store.LoadCordons());
  for (JobRecord& record : records) {
    const JobStatus& status = record.status;
    RestoredJob job{.record = {}, .job = absl::UnknownError("not queued"), .commits = {}};
    if (status.state() == QUEUED) job.job = Admit(world_.files, status.job());
    if (!IsFinal(status.state())) {
      if (auto claim = ClaimAgain(world_.files, record)) {
        claims_[status.job_id()] = std::move(claim);
      }
      ASSIGN_OR_RETURN(job.commits,
                       world_.store.LoadCommits(status.job_id(), JobLife::FirstCommitOf(status)));
    }
    job.record = std::move(record);
    restored.jobs.push_back(std::move(job));
  }
  return restored;
}

void ControllerHost::Stop(std::function<void()> written) {
  Post([this, written = std::move(written)]() mutable {
    stopping_ = true;
    world_.nodes.CancelAll();
    if (backlog_.empty()) return written();
    all_written_ = std::move(written);
  });
}

// -- turns of the core -------------------------------------------------------------------------

ControllerTurn ControllerHost::NewTurn() const {
  ControllerTurn turn;
  turn.now = {.steady_s = world_.loop.now_s(), .unix_s = world_.unix_s()};
  return turn;
}

void ControllerHost::Event(absl::AnyInvocable<void(ControllerCore&, ControllerTurn&)> event) {
  Post([this, event = std::move(event)]() mutable {
    ControllerTurn turn = NewTurn();
    event(*core_, turn);
    Perform(std::move(turn));
  });
}

void ControllerHost::Perform(ControllerTurn turn, Written written) {
  // The calls and the timer of a controller that stops would be nobody's.
  if (stopping_) turn.calls.clear();
  for (const std::string& line : turn.log) world_.log(line);
  if (!turn.records.empty()) Persist(turn);
  for (NodeCall& call : turn.calls) {
    if (auto* prepare = std::get_if<PrepareRequest>(&call.request)) {
      prepare->set_folder_marked(claims_.contains(prepare->job_id()));
    }
    world_.nodes.Make(std::move(call), [this](const NodeCallResult& result) {
      // A call that was cancelled because the controller stops is not the node's failure.
      if (stopping_) return;
      Event(
          [result](ControllerCore& core, ControllerTurn& next) { core.OnCallDone(result, next); });
    });
  }
  std::move(turn.published.begin(), turn.published.end(), std::back_inserter(unannounced_));
  std::move(turn.submit_answers.begin(), turn.submit_answers.end(),
            std::back_inserter(unanswered_));
  Announce();
  // A turn that changes nothing may confirm what is not on record yet.
  if (written && backlog_.empty()) {
    written(absl::OkStatus());
  } else if (written) {
    backlog_.back().then.push_back(std::move(written));
  }
  if (!stopping_) SetTimer();
}

void ControllerHost::SetTimer() {
  const std::optional<double> due_s = core_->NextTimer();
  if (!due_s.has_value()) return;
  const absl::Duration delay = absl::Seconds(*due_s - world_.loop.now_s());
  world_.loop.After(std::max(delay, absl::ZeroDuration()) + absl::Nanoseconds(1),
                    [this, timer = ++timers_] {
                      if (timer != timers_) return;
                      Event([](ControllerCore& core, ControllerTurn& turn) { core.OnTimer(turn); });
                    });
}

// -- the store ---------------------------------------------------------------------------------

void ControllerHost::Persist(ControllerTurn& turn) {
  for (const StoreRecord& record : turn.records) {
    if (const auto* event = std::get_if<EventRecord>(&record)) {
      world_.log(absl::StrCat(event->job_id, ": ", event->text));
    }
  }
  backlog_.push_back({.records = std::move(turn.records),
                      .tokens = std::move(turn.persist_tokens),
                      .must = turn.must_persist,
                      .then = {}});
  if (backlog_.size() == 1) BeginWrite();
}

void ControllerHost::BeginWrite() {
  const Transaction& first = backlog_.front();
  disk_.Run(
      [this, &records = first.records, steps = IsOfSteps(first.records)] {
        return steps ? world_.write_ahead(records) : world_.write(records);
      },
      [this](const absl::Status& stored) { EndWrite(stored); });
}

// Nodes are told of a step while it becomes durable, and users afterwards (ADR 43): if this process
// ends in between it is on record, and if the machine does, the step is done again to the same end.
void ControllerHost::EndWrite(const absl::Status& stored) {
  Transaction& first = backlog_.front();
  if (!stored.ok() && KeepTrying(first, stored)) return Retry();
  if (!stored.ok() || !IsOfSteps(first.records)) return EndTransaction(stored);
  first.told = true;
  Tell(std::exchange(first.tokens, {}), stored);
  disk_.Run([this] { return world_.sync(); },
            [this](const absl::Status& synced) {
              if (!synced.ok() && KeepTrying(backlog_.front(), synced)) return Retry();
              EndTransaction(synced);
            });
}

// Whatever comes behind a transaction that cannot be written waits, too: the order of records is
// the order of events. The lane itself does not wait, so that jobs can still be looked at.
void ControllerHost::Retry() {
  world_.loop.After(options_.store_retry_pause, [this] { BeginWrite(); });
}

void ControllerHost::EndTransaction(const absl::Status& stored) {
  if (!stored.ok()) world_.log(std::string(stored.message()));
  Transaction transaction = std::move(backlog_.front());
  backlog_.pop_front();
  if (stored.ok()) commits_ += CommitsAmong(transaction.records);
  if (!backlog_.empty()) BeginWrite();
  if (stored.ok() && std::exchange(store_refuses_, false)) {
    Event([](ControllerCore& core, ControllerTurn& turn) { core.OnStoreWell(turn); });
  }
  Announce();
  Tell(std::move(transaction.tokens), stored);
  for (const Written& then : transaction.then) then(stored);
  if (backlog_.empty() && all_written_) std::exchange(all_written_, nullptr)();
}

void ControllerHost::Tell(std::vector<uint64_t> tokens, const absl::Status& stored) {
  for (const uint64_t token : tokens) {
    Event([token, stored](ControllerCore& core, ControllerTurn& next) {
      core.OnPersisted(token, stored, next);
    });
  }
}

// A disk that refuses is no reason to say nothing: the status says that it does.
void ControllerHost::Announce() {
  if (!backlog_.empty() && backlog_.front().told && !backlog_.front().refused()) return;
  for (JobStatus& status : std::exchange(unannounced_, {})) {
    if (IsFinal(status.state())) ReleaseClaim(status.job_id());
    board_.Publish(std::move(status));
  }
  for (const auto& answer : std::exchange(unanswered_, {})) {
    AnswerSubmit(answer.request_id, answer.job_id);  // with the job's status
  }
}

// What somebody in the core waits for, which pauses its job then and says why. The rest is history
// already (the end of a job, a pause, a cordon, steps that are forgotten), and is written whenever
// the disk takes it.
bool ControllerHost::MayGiveUp(const Transaction& transaction) {
  const auto is_history = [](const StoreRecord& record) {
    const auto* const job = std::get_if<JobRecord>(&record);
    return std::holds_alternative<CordonRecord>(record) ||
           std::holds_alternative<RewindRecord>(record) ||
           (job != nullptr && IsFinal(job->status.state()));
  };
  return !transaction.tokens.empty() &&
         std::none_of(transaction.records.begin(), transaction.records.end(), is_history);
}

bool ControllerHost::KeepTrying(Transaction& transaction, const absl::Status& failure) {
  if (!transaction.must || stopping_) return false;
  const double now_s = world_.loop.now_s();
  if (transaction.refused()) {
    const bool given_up = now_s >= transaction.give_up_s && MayGiveUp(transaction);
    if (given_up) WS_MARK("controller: gave a record up");
    return !given_up;
  }
  transaction.give_up_s = now_s + absl::ToDoubleSeconds(options_.store_patience);
  store_refuses_ = true;
  world_.log(absl::StrCat(failure.message(), "; trying again"));
  Event([what = std::string(failure.message())](ControllerCore& core, ControllerTurn& turn) {
    core.OnStoreTrouble(what, turn);
  });
  return true;
}

// -- what nodes say ----------------------------------------------------------------------------

void ControllerHost::Register(const RegisterRequest& request,
                              std::function<void(absl::StatusOr<RegisterReply>)> done) {
  const absl::StatusOr<uint32_t> protocol = ProtocolWith(request);
  Event([this, request, protocol, done = std::move(done)](ControllerCore& core,
                                                          ControllerTurn& turn) {
    if (!protocol.ok()) return done(protocol.status());
    const absl::Status status = core.OnRegister(request, turn);
    if (!status.ok()) return done(status);
    RegisterReply reply;
    reply.set_protocol(*protocol);
    reply.set_lease_ms(static_cast<uint32_t>(options_.lease_ms));
    reply.set_heartbeat_ms(static_cast<uint32_t>(options_.heartbeat_ms));
    done(reply);
  });
}

void ControllerHost::Heartbeat(const HeartbeatRequest& request,
                               std::function<void(absl::StatusOr<HeartbeatReply>)> done) {
  Event([request, done = std::move(done)](ControllerCore& core, ControllerTurn& turn) {
    done(core.OnHeartbeat(request, turn));
  });
}

void ControllerHost::Report(const NodeReport& report, std::function<void(absl::Status)> done) {
  Event([report, done = std::move(done)](ControllerCore& core, ControllerTurn& turn) {
    done(core.OnReport(report, turn));
  });
}

// -- what users ask for ------------------------------------------------------------------------

absl::StatusOr<JobStatus> ControllerHost::StatusOf(const std::string& name) const {
  ASSIGN_OR_RETURN(const std::string job_id, board_.Resolve(name));
  return *board_.Find(job_id);
}

absl::StatusOr<std::string> ControllerHost::ResolveFor(const Asker& asker,
                                                       const std::string& name) const {
  ASSIGN_OR_RETURN(std::string job_id, board_.Resolve(name));
  RETURN_IF_ERROR(asker.MayChange(job_id, board_.Find(job_id)->user()));
  return job_id;
}

void ControllerHost::SetQuotas(Quotas quotas) {
  Event([quotas = std::move(quotas)](ControllerCore& core, ControllerTurn& turn) {
    core.OnQuotas(quotas, turn);
  });
}

void ControllerHost::Submit(const Asker& asker, SubmitRequest request, StatusCallback done) {
  Post([this, user = asker.user, request = std::move(request), done = std::move(done)]() mutable {
    const std::string& request_id = request.request_id();
    if (request_id.empty()) return done(absl::InvalidArgumentError("request_id is empty"));
    const auto known = core_->FindRequest(request_id, request.job());
    if (!known.ok()) return done(known.status());
    const auto first = submits_.find(request_id);
    if (first != submits_.end()) return JoinSubmit(first->second, request, std::move(done));
    if (known->has_value()) return done(StatusOf(**known));
    PendingSubmit& pending = submits_[request_id];
    pending.identity = core_->NewIdentity(Base32(world_.random_bits()), user);
    pending.job = request.job();
    pending.waiting.push_back(std::move(done));
    BeginAdmission(pending.identity, request);
  });
}

// The first one with this request_id is still on its way.
void ControllerHost::JoinSubmit(PendingSubmit& first, const SubmitRequest& request,
                                StatusCallback done) {
  const absl::Status same =
      CheckSameRequest(request.request_id(), first.identity.job_id, first.job, request.job());
  if (!same.ok()) return done(same);
  first.waiting.push_back(std::move(done));
}

void ControllerHost::BeginAdmission(const JobIdentity& identity, const SubmitRequest& request) {
  struct Admission {
    absl::StatusOr<AdmittedJob> job;
    std::unique_ptr<FolderClaim> claim;
  };
  auto admission = std::make_shared<Admission>();
  admission_.Run(
      [this, admission, identity, job = request.job()]() -> absl::Status {
        const std::string folder = FolderOf(job, options_.state_dir, identity.job_id);
        RETURN_IF_ERROR(CheckPaths(job, folder, options_.roots));
        ASSIGN_OR_RETURN(AdmittedJob admitted, Admit(world_.files, job));
        admitted.plan.job.mutable_checkpoint()->set_dir(folder);
        ASSIGN_OR_RETURN(admission->claim, ClaimFor(world_.files, identity.job_id, admitted));
        admission->job = std::move(admitted);
        return absl::OkStatus();
      },
      [this, admission, identity, request_id = request.request_id()](const absl::Status& status) {
        if (!status.ok()) admission->job = status;
        Admitted(request_id, identity, std::move(admission->job), std::move(admission->claim));
      });
}

void ControllerHost::Admitted(const std::string& request_id, const JobIdentity& identity,
                              absl::StatusOr<AdmittedJob> job, std::unique_ptr<FolderClaim> claim) {
  if (!job.ok()) return AnswerSubmit(request_id, job.status());
  if (claim != nullptr) claims_[identity.job_id] = std::move(claim);
  ControllerTurn turn = NewTurn();
  core_->OnSubmit(request_id, identity, *std::move(job), turn);
  Perform(std::move(turn));
}

void ControllerHost::AnswerSubmit(const std::string& request_id,
                                  const absl::StatusOr<std::string>& job_id) {
  const auto pending = submits_.extract(request_id);
  if (pending.empty()) return;
  if (!job_id.ok()) ReleaseClaim(pending.mapped().identity.job_id);
  for (const StatusCallback& done : pending.mapped().waiting) {
    done(job_id.ok() ? StatusOf(*job_id) : absl::StatusOr<JobStatus>(job_id.status()));
  }
}

// The job is over, or was never recorded.
void ControllerHost::ReleaseClaim(const std::string& job_id) {
  auto claim = claims_.extract(job_id);
  if (claim.empty()) return;
  disk_.Run(
      [claim = std::shared_ptr<FolderClaim>(std::move(claim.mapped()))] {
        claim->Release();
        return absl::OkStatus();
      },
      [](const absl::Status&) {});
}

void ControllerHost::Cancel(const Asker& asker, std::string name, StatusCallback done) {
  Post([this, asker, name = std::move(name), done = std::move(done)] {
    const absl::StatusOr<std::string> job_id = ResolveFor(asker, name);
    if (!job_id.ok()) return done(job_id.status());
    ControllerTurn turn = NewTurn();
    core_->OnCancel(*job_id, turn);
    Perform(std::move(turn), [this, job_id = *job_id, done](const absl::Status& written) {
      done(written.ok() ? StatusOf(job_id) : written);
    });
  });
}

void ControllerHost::Resume(const Asker& asker, ResumeRequest request, StatusCallback done) {
  Post([this, asker, request = std::move(request), done = std::move(done)]() mutable {
    const absl::StatusOr<std::string> job_id = ResolveFor(asker, request.job_id());
    if (!job_id.ok()) return done(job_id.status());
    request.set_job_id(*job_id);
    ControllerTurn turn = NewTurn();
    const absl::Status resumed = core_->OnResume(request, turn);
    Perform(std::move(turn), [this, resumed, job_id = *job_id, done](const absl::Status& written) {
      if (!resumed.ok()) return done(resumed);
      done(written.ok() ? StatusOf(job_id) : written);
    });
  });
}

void ControllerHost::Cordon(CordonRequest request,
                            std::function<void(absl::StatusOr<NodeStatus>)> done) {
  Post([this, request = std::move(request), done = std::move(done)] {
    ControllerTurn turn = NewTurn();
    const absl::StatusOr<NodeStatus> node = core_->OnCordon(request, turn);
    Perform(std::move(turn), [node, done](const absl::Status& written) {
      done(node.ok() && !written.ok() ? written : node);
    });
  });
}

void ControllerHost::Get(std::string job_id, StatusCallback done) {
  Post([this, job_id = std::move(job_id), done = std::move(done)] {
    const absl::StatusOr<JobStatus> status = StatusOf(job_id);
    if (!status.ok()) return done(status);
    auto answer = std::make_shared<JobStatus>(*status);
    disk_.Run(
        [this, answer]() -> absl::Status {
          ASSIGN_OR_RETURN(const std::vector<double> losses,
                           world_.store.LoadLosses(answer->job_id(), answer->step()));
          answer->mutable_losses()->Add(losses.begin(), losses.end());
          return absl::OkStatus();
        },
        [answer, done](const absl::Status& loaded) {
          done(loaded.ok() ? absl::StatusOr<JobStatus>(*answer) : loaded);
        });
  });
}

void ControllerHost::Events(std::string job_id,
                            std::function<void(absl::StatusOr<EventList>)> done) {
  Post([this, job_id = std::move(job_id), done = std::move(done)] {
    const absl::StatusOr<std::string> known = board_.Resolve(job_id);
    if (!known.ok()) return done(known.status());
    auto events = std::make_shared<absl::StatusOr<EventList>>();
    disk_.Run(
        [this, events, job_id = *known] {
          *events = world_.store.LoadEvents(job_id);
          return absl::OkStatus();
        },
        [events, done](const absl::Status&) { done(*events); });
  });
}

void ControllerHost::AddressOf(std::string node_id,
                               std::function<void(absl::StatusOr<std::string>)> done) {
  Post([this, node_id = std::move(node_id), done = std::move(done)] {
    done(core_->AddressOf(node_id));
  });
}

NodeList ControllerHost::Nodes() const { return core_->ListNodes(world_.loop.now_s()); }

}  // namespace waferstream
