#include "controller/controller_host.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "checkpoint/posix_disk.h"
#include "controller/admission.h"
#include "controller/job_state.h"

namespace waferstream {
namespace {

// A lost node that was only slow is back within one lease; a controller's nodes try every 0.2 s.
constexpr double kPatienceLeases = 3;

// A full disk may take somebody to notice; then jobs pause.
constexpr double kStorePatience_s = 600;
constexpr double kStoreRetryPause_s = 0.2;

Now ReadClocks() {
  Now now;
  now.steady_s = SteadySeconds();
  now.unix_s =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  return now;
}

// Two controllers on one store would commit one job twice. The lock ends with the process, however
// that ends.
absl::StatusOr<int> LockDirectory(const std::string& dir) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error) {
    return absl::UnavailableError(absl::StrCat("state directory ", dir, ": ", error.message()));
  }
  const std::string path = absl::StrCat(dir, "/lock");
  const int lock = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0) {
    return absl::UnavailableError(
        absl::StrCat("state directory ", dir, " is not writable: ", std::strerror(errno)));
  }
  if (flock(lock, LOCK_EX | LOCK_NB) == 0) return lock;
  close(lock);
  return absl::FailedPreconditionError(
      absl::StrCat("state directory ", dir, " is in use by another controller"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ControllerHost>> ControllerHost::Open(Options options) {
  ASSIGN_OR_RETURN(const int lock, LockDirectory(options.state_dir));
  absl::StatusOr<std::unique_ptr<JobStore>> store =
      JobStore::Open(absl::StrCat(options.state_dir, "/controller.sqlite"));
  if (!store.ok()) {
    close(lock);
    return store.status();
  }
  std::unique_ptr<ControllerHost> host(
      new ControllerHost(std::move(options), lock, *std::move(store)));
  RETURN_IF_ERROR(host->Restore());
  return host;
}

ControllerHost::ControllerHost(Options options, int lock, std::unique_ptr<JobStore> store)
    : options_(std::move(options)),
      lock_(lock),
      store_(std::move(store)),
      nodes_(options_.credentials) {}

ControllerHost::~ControllerHost() {
  Stop();
  close(lock_);
}

absl::Status ControllerHost::Restore() {
  ASSIGN_OR_RETURN(std::vector<JobRecord> records, store_->LoadJobs());
  RestoredState restored;
  ASSIGN_OR_RETURN(restored.cordons, store_->LoadCordons());
  for (JobRecord& record : records) {
    const JobStatus& status = record.status;
    RestoredJob job{.record = {}, .job = absl::UnknownError("not queued"), .commits = {}};
    if (status.state() == QUEUED) job.job = Admit(PosixDisk(), status.job());
    if (!IsFinal(status.state())) {
      const uint64_t last_checkpoint = std::max<uint64_t>(status.checkpoint_step(), 1);
      ASSIGN_OR_RETURN(job.commits, store_->LoadCommits(status.job_id(), last_checkpoint - 1));
    }
    job.record = std::move(record);
    restored.jobs.push_back(std::move(job));
  }
  // Nothing else runs yet, but the core belongs to the main loop from its first turn on.
  main_.Post([this, restored = std::move(restored)]() mutable {
    ControllerTurn turn;
    turn.now = ReadClocks();
    core_ = std::make_unique<ControllerCore>(
        ControllerCore::Options{.state_dir = options_.state_dir,
                                .lease_s = options_.lease_ms / 1000.0,
                                .patience_s = kPatienceLeases * options_.lease_ms / 1000.0},
        std::move(restored), turn);
    Perform(std::move(turn));
  });
  return absl::OkStatus();
}

void ControllerHost::Event(absl::AnyInvocable<void(ControllerCore&, ControllerTurn&)> event) {
  main_.Post([this, event = std::move(event)]() mutable {
    ControllerTurn turn;
    turn.now = ReadClocks();
    event(*core_, turn);
    Perform(std::move(turn));
  });
}

void ControllerHost::Perform(ControllerTurn turn) {
  // The calls and the timer of a controller that stops would be nobody's.
  if (stopping_) turn.calls.clear();
  for (const std::string& line : turn.log) options_.log(line);
  if (!turn.records.empty()) Persist(turn);
  for (NodeCall& call : turn.calls) {
    nodes_.Make(std::move(call), [this](NodeCallResult result) {
      Event([this, result = std::move(result)](ControllerCore& core, ControllerTurn& next) {
        // A call that was cancelled because the controller stops is not the node's failure.
        if (!stopping_) core.OnCallDone(result, next);
      });
    });
  }
  for (JobStatus& status : turn.published) board_.Publish(std::move(status));
  for (const auto& answer : turn.submit_answers) AnswerSubmit(answer.request_id, answer.job_id);
  if (const std::optional<double> due_s = core_->NextTimer(); due_s.has_value() && !stopping_) {
    main_.SetTimer(*due_s, [this] {
      Event([](ControllerCore& core, ControllerTurn& next) { core.OnTimer(next); });
    });
  }
}

void ControllerHost::Persist(ControllerTurn& turn) {
  for (const StoreRecord& record : turn.records) {
    if (const auto* event = std::get_if<EventRecord>(&record)) {
      options_.log(absl::StrCat(event->job_id, ": ", event->text));
    }
  }
  disk_.Post([this, transaction = Transaction{.records = std::move(turn.records),
                                              .tokens = std::move(turn.persist_tokens),
                                              .must = turn.must_persist,
                                              .give_up_s = 0}]() mutable {
    backlog_.push_back(std::move(transaction));
    WriteBacklog();
  });
}

// Whatever comes behind a transaction that cannot be written waits, too: the order of records is
// the order of events. The loop itself does not wait, so that jobs can still be looked at.
void ControllerHost::WriteBacklog() {
  while (!backlog_.empty()) {
    Transaction& head = backlog_.front();
    const absl::Status stored = store_->Write(head.records);
    if (!stored.ok() && head.must && KeepTrying(head, stored)) {
      disk_.SetTimer(SteadySeconds() + kStoreRetryPause_s, [this] { WriteBacklog(); });
      return;
    }
    if (!stored.ok()) options_.log(std::string(stored.message()));
    for (const uint64_t token : head.tokens) {
      Event([token, stored](ControllerCore& core, ControllerTurn& next) {
        core.OnPersisted(token, stored, next);
      });
    }
    backlog_.pop_front();
  }
}

bool ControllerHost::KeepTrying(Transaction& transaction, const absl::Status& failure) {
  if (transaction.give_up_s > 0) return SteadySeconds() < transaction.give_up_s;
  transaction.give_up_s = SteadySeconds() + kStorePatience_s;
  options_.log(absl::StrCat(failure.message(), "; trying again"));
  Event([what = std::string(failure.message())](ControllerCore& core, ControllerTurn& turn) {
    core.OnStoreTrouble(what, turn);
  });
  return true;
}

absl::StatusOr<JobStatus> ControllerHost::StatusOf(const std::string& job_id) const {
  const JobStatus* status = board_.Find(job_id);
  if (status == nullptr) return absl::NotFoundError(absl::StrCat("no job ", job_id));
  return *status;
}

void ControllerHost::Submit(SubmitRequest request, StatusCallback done) {
  main_.Post([this, request = std::move(request), done = std::move(done)]() mutable {
    const std::string& request_id = request.request_id();
    if (request_id.empty()) return done(absl::InvalidArgumentError("request_id is empty"));
    if (const auto known = core_->FindRequest(request_id)) return done(StatusOf(*known));
    submits_.emplace(request_id, std::move(done));
    admission_.Post([this, request = std::move(request)] {
      absl::StatusOr<AdmittedJob> job = Admit(PosixDisk(), request.job());
      main_.Post([this, request_id = request.request_id(), job = std::move(job)]() mutable {
        Admitted(request_id, std::move(job));
      });
    });
  });
}

void ControllerHost::Admitted(const std::string& request_id, absl::StatusOr<AdmittedJob> job) {
  if (!job.ok()) return AnswerSubmit(request_id, job.status());
  ControllerTurn turn;
  turn.now = ReadClocks();
  core_->OnSubmit(request_id, *std::move(job), turn);
  Perform(std::move(turn));
}

void ControllerHost::AnswerSubmit(const std::string& request_id,
                                  const absl::StatusOr<std::string>& job_id) {
  const auto [first, last] = submits_.equal_range(request_id);
  for (auto it = first; it != last; ++it) {
    it->second(job_id.ok() ? StatusOf(*job_id) : absl::StatusOr<JobStatus>(job_id.status()));
  }
  submits_.erase(first, last);
}

void ControllerHost::Cancel(std::string job_id, StatusCallback done) {
  Event([job_id](ControllerCore& core, ControllerTurn& turn) { core.OnCancel(job_id, turn); });
  // Behind the event, so the answer shows what came of it.
  Post([this, job_id, done = std::move(done)] { done(StatusOf(job_id)); });
}

void ControllerHost::Resume(ResumeRequest request, StatusCallback done) {
  main_.Post([this, request = std::move(request), done = std::move(done)] {
    ControllerTurn turn;
    turn.now = ReadClocks();
    const absl::Status resumed = core_->OnResume(request, turn);
    Perform(std::move(turn));
    if (const auto status = StatusOf(request.job_id()); !status.ok()) return done(status);
    done(resumed.ok() ? StatusOf(request.job_id()) : resumed);
  });
}

void ControllerHost::Cordon(CordonRequest request,
                            std::function<void(absl::StatusOr<NodeStatus>)> done) {
  main_.Post([this, request = std::move(request), done = std::move(done)] {
    ControllerTurn turn;
    turn.now = ReadClocks();
    const absl::StatusOr<NodeStatus> node = core_->OnCordon(request, turn);
    Perform(std::move(turn));
    done(node);
  });
}

void ControllerHost::Get(std::string job_id, StatusCallback done) {
  main_.Post([this, job_id = std::move(job_id), done = std::move(done)]() mutable {
    absl::StatusOr<JobStatus> status = StatusOf(job_id);
    if (!status.ok()) return done(status.status());
    disk_.Post([this, status = *std::move(status), done = std::move(done)]() mutable {
      const absl::StatusOr<std::vector<double>> losses =
          store_->LoadLosses(status.job_id(), status.step());
      absl::StatusOr<JobStatus> answer = std::move(status);
      if (losses.ok()) {
        answer->mutable_losses()->Add(losses->begin(), losses->end());
      } else {
        answer = losses.status();
      }
      main_.Post([done = std::move(done), answer = std::move(answer)] { done(answer); });
    });
  });
}

void ControllerHost::Events(std::string job_id,
                            std::function<void(absl::StatusOr<EventList>)> done) {
  main_.Post([this, job_id = std::move(job_id), done = std::move(done)]() mutable {
    if (const absl::Status known = StatusOf(job_id).status(); !known.ok()) return done(known);
    disk_.Post([this, job_id = std::move(job_id), done = std::move(done)] {
      main_.Post([done, events = store_->LoadEvents(job_id)] { done(events); });
    });
  });
}

void ControllerHost::ReadNodeLog(NodeLogRequest request, NodeClient::LogDone done) {
  main_.Post([this, request = std::move(request), done = std::move(done)] {
    const absl::StatusOr<std::string> address = core_->AddressOf(request.node_id());
    if (!address.ok()) return done(address.status());
    nodes_.ReadLog(*address, request.bytes_max(), [this, done](absl::StatusOr<ReadLogReply> reply) {
      main_.Post([done, reply = std::move(reply)] { done(reply); });
    });
  });
}

void ControllerHost::BeginStop() {
  main_.Post([this] {
    stopping_ = true;
    nodes_.CancelAll();
  });
}

void ControllerHost::Stop() {
  BeginStop();
  admission_.Drain();
  main_.Drain();
  disk_.Drain();
}

}  // namespace waferstream
