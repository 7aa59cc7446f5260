#include "sim/sim_controller_host.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "sim/sim_node_calls.h"
#include "sim/virtual_lanes.h"

namespace waferstream {

struct SimControllerHost::Life {
  VirtualLanes lanes;
  SimNodeCalls nodes;
  std::unique_ptr<ControllerHost> host;
};

SimControllerHost::SimControllerHost(SimWorld& world, Disk& files)
    : world_(world), files_(files), process_(world, "controller") {
  absl::StatusOr<std::unique_ptr<JobStore>> store = JobStore::Open(":memory:");
  WS_CHECK(store.ok());
  store_ = *std::move(store);
}

SimControllerHost::~SimControllerHost() = default;

// -- lives -------------------------------------------------------------------------------------

void SimControllerHost::Boot() {
  process_.Begin();
  world_.Note("controller", "begins life ", process_.life());
  life_.reset(
      new Life{.lanes = {world_, process_}, .nodes = {world_, process_, nodes_}, .host = nullptr});
  const auto ms = [](int64_t ns) { return static_cast<int>(ns / 1'000'000); };
  life_->host = std::make_unique<ControllerHost>(
      ControllerWorld{.loop = process_,
                      .lanes = life_->lanes,
                      .nodes = life_->nodes,
                      .store = *store_,
                      .write = [this](const auto& records) { return Write(records); },
                      .write_ahead = [this](const auto& records) { return WriteAhead(records); },
                      .sync = [this] { return Sync(); },
                      .files = files_,
                      .unix_s = [this] { return 1.7e9 + world_.now_s(); },
                      .random_bits = [this] { return world_.identities.Bits64(); },
                      .log = [this](const std::string& line) { world_.Note("controller", line); }},
      ControllerHost::Options{.state_dir = "/state",
                              .lease_ms = ms(world_.pace.lease_ns),
                              .heartbeat_ms = ms(world_.pace.heartbeat_ns),
                              .store_patience = absl::Nanoseconds(world_.pace.store_patience_ns),
                              .store_retry_pause = absl::Nanoseconds(world_.pace.retry_ns)});
  const absl::Status restored = life_->host->Restore();
  if (!restored.ok()) world_.Violate(std::string(restored.message()));
}

void SimControllerHost::Kill() {
  process_.End(false);
  written_.clear();  // the kernel has it
  life_ = nullptr;
}

void SimControllerHost::EndMachineAtCommit(int64_t for_ns) { ends_for_ns_ = for_ns; }

void SimControllerHost::EndMachine(int64_t for_ns) {
  if (!world_.faults_on || !answers()) return;
  world_.NoteFault("end the controller's machine", "controller");
  LoseWhatIsNotDurable();
  Kill();
  world_.queue.After(for_ns, [this] { Boot(); });
}

void SimControllerHost::LoseWhatIsNotDurable() {
  for (const CommitRecord& lost : written_) {
    world_.NoteFault("lost commit", "controller", lost.job_id, " step ", lost.step);
    WS_CHECK(store_->Write({RewindRecord{lost.job_id, lost.step}}).ok());
    const JobStatus* const said = board().Find(lost.job_id);
    const bool waits = said != nullptr && absl::StartsWith(said->reason(), "waits to be recorded");
    if (said == nullptr || said->step() <= lost.step || waits) continue;
    world_.Violate(absl::StrCat("users were told of step ", lost.step, ", which is lost"));
  }
}

// -- the store ---------------------------------------------------------------------------------

// A disk fails once, or for a while, as the seed has it.
bool SimControllerHost::Refuses() {
  if (world_.Strikes(world_.weather.write_fails)) {
    const bool once = world_.messages.Coin();
    store_bad_until_ns_ =
        world_.now_ns() + (once ? 1 : world_.delays.UpTo(4 * world_.pace.lease_ns));
  }
  if (world_.now_ns() >= store_bad_until_ns_) return false;
  world_.NoteFault("failed write", "controller");
  return true;
}

absl::Status SimControllerHost::Write(const std::vector<StoreRecord>& records) {
  if (Refuses()) return absl::UnavailableError("job store: disk I/O error");
  RETURN_IF_ERROR(store_->Write(records));
  CheckCommits(records);
  return absl::OkStatus();
}

absl::Status SimControllerHost::WriteAhead(const std::vector<StoreRecord>& records) {
  RETURN_IF_ERROR(Write(records));
  for (const StoreRecord& record : records) {
    if (const auto* commit = std::get_if<CommitRecord>(&record)) written_.push_back(*commit);
  }
  if (ends_for_ns_.has_value()) {
    world_.queue.After(
        world_.delays.UpTo(4 * world_.pace.disk_ns),
        [this, for_ns = *std::exchange(ends_for_ns_, std::nullopt)] { EndMachine(for_ns); });
  }
  return absl::OkStatus();
}

absl::Status SimControllerHost::Sync() {
  if (Refuses()) return absl::UnavailableError("job store: disk I/O error");
  written_.clear();
  return absl::OkStatus();
}

// What an amendment is about has no history yet, or none any more.
void SimControllerHost::ForgetAmended(const JobStatus& job) {
  const auto& amendments = job.job().training().amendments();
  int& known = amendments_[job.job_id()];
  for (; known < amendments.size(); ++known) {
    std::erase_if(committed_, [&](const auto& commit) {
      return commit.first.first == job.job_id() &&
             commit.first.second >= amendments[known].from_step();
    });
  }
}

// A commit is history: on record once, or again with the same values.
void SimControllerHost::CheckCommits(const std::vector<StoreRecord>& records) {
  for (const StoreRecord& record : records) {
    if (const auto* job = std::get_if<JobRecord>(&record)) ForgetAmended(job->status);
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

bool SimControllerHost::ShowsPaused(const std::string& job_id) const {
  const JobStatus* const status = life_->host->board().Find(job_id);
  return status != nullptr && status->state() == PAUSED;
}

std::vector<CommitRecord> SimControllerHost::Commits(const std::string& job_id) {
  auto commits = store_->LoadCommits(job_id, 0);
  WS_CHECK(commits.ok());
  return *std::move(commits);
}

StatusBoard& SimControllerHost::board() { return life_->host->board(); }

// -- users and nodes ---------------------------------------------------------------------------

void SimControllerHost::Submit(const std::string& request_id, const JobSpec& job, Submitted done) {
  SubmitRequest request;
  request.set_request_id(request_id);
  *request.mutable_job() = job;
  life_->host->Submit({}, request,
                      [this, done = std::move(done)](const absl::StatusOr<JobStatus>& answer) {
                        world_.Note("user", "submits: ", answer.status().ToString());
                        done(answer);
                      });
}

void SimControllerHost::Resume(const ResumeRequest& request) {
  life_->host->Resume({}, request, [this](const absl::StatusOr<JobStatus>& answer) {
    world_.Note("user", "resumes: ", answer.status().ToString());
  });
}

void SimControllerHost::Cancel(const std::string& job_id) {
  life_->host->Cancel({}, job_id, [this](const absl::StatusOr<JobStatus>& answer) {
    world_.Note("user", "cancels: ", answer.status().ToString());
  });
}

void SimControllerHost::Cordon(const std::string& node_id, CordonRequest::Action action,
                               std::function<void(const absl::Status&)> done) {
  CordonRequest request;
  request.set_node_id(node_id);
  request.set_action(action);
  life_->host->Cordon(
      request, [this, request, done = std::move(done)](const absl::StatusOr<NodeStatus>& answer) {
        world_.Note("user", CordonRequest::Action_Name(request.action()), " ", request.node_id(),
                    ": ", answer.status().ToString());
        done(answer.status());
      });
}

NodeList SimControllerHost::Nodes() const {
  return life_ == nullptr ? NodeList() : life_->host->Nodes();
}

ControllerCalls& SimControllerHost::calls() { return *life_->host; }

}  // namespace waferstream
