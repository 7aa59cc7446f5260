#include "controller/job_life.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/mark.h"
#include "base/status.h"
#include "base/user_input.h"
#include "base/version.h"
#include "controller/resumptions.h"
#include "controller/validations.h"
#include "controller/verdict.h"
#include "plan/job_kind.h"
#include "plan/kernel_order.h"
#include "proto/job_state.h"

namespace waferstream {
namespace {

constexpr double kFirstPause_s = 0.1;
constexpr double kLongestPause_s = 5;
// The last checkpoint is tried so often before somebody has to make room for it.
constexpr int kSaveAttempts = 3;

double PauseAfter(int attempts) {
  if (attempts <= 2) return 0;
  return std::min(kFirstPause_s * (1 << std::min(attempts - 2, 16)), kLongestPause_s);
}

double TokensPerStep(const JobSpec& job) {
  return static_cast<double>(job.training().global_batch()) * job.model().context();
}

Roster MakeRoster(const std::vector<PlacedProcess>& placed, const NodeTable& nodes) {
  Roster roster;
  for (const PlacedProcess& process : placed) {
    const RegisterRequest& info = nodes.nodes().at(process.node_id).info;
    Member* member = process.role == MEMORYX  ? roster.add_memoryx()
                     : process.role == SWARMX ? roster.add_swarmx()
                                              : roster.add_wafers();
    member->set_node_id(info.node_id());
    member->set_host(info.host());
    member->set_fabric_port(info.fabric_port());
  }
  return roster;
}

bool SameResult(const CommitRecord& a, const CommitRecord& b) {
  return a.loss == b.loss && a.norm == b.norm && a.clip_factor == b.clip_factor &&
         a.learning_rate == b.learning_rate;
}

}  // namespace

JobLife::JobLife(JobRecord record, std::vector<CommitRecord> commits, double patience_s,
                 const Now& now)
    : record_(std::move(record)),
      holdings_(record_.memory.holdings()),
      fills_(record_.memory.fills()),
      patience_s_(patience_s),
      statistics_(TokensPerStep(record_.status.job())),
      clock_(record_.memory, now),
      ended_s_(now.steady_s),
      recorded_(record_.memory.members_size() > 0) {
  for (CommitRecord& commit : commits) {
    if (commit.times.step_seconds > 0) statistics_.AddStep(commit.times);
    commits_[commit.step] = std::move(commit);
  }
  if (recorded_ && status().step() > record_.memory.epoch_step()) ForgetAbsentHolders();
  record_.status.set_seconds(clock_.Seconds(now));
  if (!statistics_.empty()) statistics_.Fill(status().steps() - status().step(), record_.status);
}

uint64_t JobLife::FirstCommitOf(const JobStatus& status) {
  const uint64_t redoable = std::max<uint64_t>(status.checkpoint_step(), 1) - 1;
  const uint64_t recent = std::max<uint64_t>(status.step(), RecentMedian::kCapacity);
  return std::min(redoable, recent - RecentMedian::kCapacity);
}

JobRecord JobLife::Record() const {
  JobRecord record = record_;
  record.status.clear_traffic();  // only worth knowing while the job runs
  holdings_.CopyTo(record.memory.mutable_holdings());
  clock_.CopyTo(record.memory);
  fills_.CopyTo(record.memory.mutable_fills());
  return record;
}

bool JobLife::trains() const { return Trains(record_.status.job()); }

bool JobLife::final() const { return IsFinal(record_.status.state()); }

// -- between epochs ------------------------------------------------------------------------------

bool JobLife::WantsEpoch(const NodeTable& nodes, double now_s) const {
  if (final() || paused() || run_ != nullptr || pending_.has_value()) return false;
  if (now_s < not_before_s_) return false;
  return !recorded_ || now_s >= ended_s_ + patience_s_ || AllMembersHere(nodes);
}

bool JobLife::AllMembersHere(const NodeTable& nodes) const {
  return std::all_of(record_.memory.members().begin(), record_.memory.members().end(),
                     [&](const JobMemory::Member& member) {
                       const auto at = nodes.nodes().find(member.node_id());
                       return at != nodes.nodes().end() && !at->second.lost;
                     });
}

std::optional<double> JobLife::NextTimer(double now_s) const {
  if (run_ != nullptr) return run_->deadline_s();
  if (final() || paused()) return std::nullopt;
  if (now_s < not_before_s_) return not_before_s_;
  const double patient_until_s = ended_s_ + patience_s_;
  const bool is_patient = recorded_ || !holdings_.empty();
  if (is_patient && now_s < patient_until_s) return patient_until_s;
  return std::nullopt;  // a node that registers or is freed is what it waits for
}

MemberNeeds JobLife::Needs(double now_s) const {
  MemberNeeds needs;
  needs.job_id = status().job_id();
  needs.cluster = &status().job().cluster();
  needs.trains = trains();
  needs.begun = status().epoch() > 0;
  needs.kernel_isa = IsPortable(status().job()) ? kPortableKernels : status().kernel_isa();
  needs.numerics = NumericsSaid(status().numerics());
  needs.holdings = &holdings_;
  needs.fills = &fills_;
  needs.may_load = now_s >= ended_s_ + patience_s_;
  for (const auto& [node_id, strikes] : strikes_) {
    if (strikes >= kStrikesMax) needs.excluded.insert(node_id);
  }
  // Whoever computed what is in doubt gets other micro-batches.
  needs.rotation = bad_.has_value() ? 1 : 0;
  return needs;
}

void JobLife::Wait(const std::string& reason, RunTurn& turn) {
  if (status().state() == PREPARING && status().reason() == reason) return;
  record_.status.set_state(PREPARING);
  record_.status.set_reason(reason);
  turn.events.push_back(reason);
  turn.publish = true;
}

bool JobLife::complete() const {
  const uint64_t steps = status().steps();
  return trains() && status().step() == steps && status().checkpoint_step() == steps &&
         (!IsValidationDue(status().job(), steps) || record_.memory.validated_steps() == steps);
}

EpochTerms JobLife::NextTerms(const Membership& members) const {
  EpochTerms terms;
  terms.keep = members.keep;
  if (!trains()) return terms;
  terms.start_step = status().step();
  terms.restore = !members.keep && status().checkpoint_step() > 0 ? status().checkpoint() : "";
  const auto last = commits_.find(terms.start_step - 1);
  if (terms.keep && terms.start_step > 0 && last != commits_.end()) {
    terms.last_commit = last->second;
  }
  terms.checkpoint_now = IsCheckpointDue(status().job(), terms.start_step) &&
                         terms.start_step > record_.memory.first_step() &&
                         terms.start_step > status().checkpoint_step();
  if (dispute_.has_value() && terms.start_step == dispute_->step) {
    terms.disputed = {dispute_->micro_batch};
  }
  terms.diagnose = bad_.has_value();
  return terms;
}

void JobLife::RememberMembers(const Membership& members, const NodeTable& nodes) {
  record_.memory.clear_members();
  record_.memory.set_epoch_step(status().step());
  for (const PlacedProcess& process : members.placed) {
    const KnownNode& node = nodes.nodes().at(process.node_id);
    JobMemory::Member* member = record_.memory.add_members();
    member->set_node_id(process.node_id);
    member->set_incarnation(node.info.incarnation());
    if (process.role != WAFER) continue;
    record_.status.set_kernel_isa(KernelsFor(status().job(), node.info.kernel_isa()));
  }
}

void JobLife::ForgetAbsentHolders() {
  std::set<std::string> members;
  for (const JobMemory::Member& member : record_.memory.members()) members.insert(member.node_id());
  holdings_.KeepOnly(members);
}

void JobLife::GiveUpNode(const std::string& node_id, RunTurn& turn) {
  WS_CHECK(run_ == nullptr);
  OnNodeReplaced(node_id);
  auto& members = *record_.memory.mutable_members();
  for (int i = members.size() - 1; i >= 0; --i) {
    if (members[i].node_id() == node_id) members.DeleteSubrange(i, 1);
  }
  turn.record = true;
}

void JobLife::Rewind(uint64_t step, RunTurn& turn) {
  holdings_.Clear();
  fills_.Clear();
  record_.memory.set_validated_steps(std::min(record_.memory.validated_steps(), step));
  if (step == status().step()) return;
  WS_MARK("controller: went back to a checkpoint");
  turn.events.push_back(absl::StrFormat(
      "no node holds all weights after %d steps any more: going back to step %d (%s)",
      status().step(), step,
      status().checkpoint_step() > 0 ? status().checkpoint() : "where the job began"));
  turn.rewind = RewindRecord{status().job_id(), step};
  record_.status.set_step(step);
  const auto last = commits_.find(step - 1);
  if (last != commits_.end() && step > record_.memory.first_step()) {
    record_.status.set_loss(last->second.loss);
  } else {
    record_.status.clear_loss();
  }
}

absl::Status JobLife::CheckNumerics() const {
  const uint32_t was = NumericsSaid(status().numerics());
  if (was == Numerics() || complete()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("numerics: the job was computed with ", was, ", and this controller (version ",
                   Version(), ") computes with ", Numerics(), "; resume goes on with that, from ",
                   status().checkpoint_step() > 0 ? status().checkpoint() : "where the job began"));
}

void JobLife::Refuse(const std::string& reason, RunTurn& turn) {
  status().epoch() > 0 ? Pause(reason, turn) : End(FAILED, reason, turn);
}

std::map<std::pair<int, int>, uint64_t> JobLife::GoOnFilling(const Membership& members) {
  std::map<std::pair<int, int>, uint64_t> filled;
  FillMap going_on;
  const auto& shards = members.shape.shards;
  for (int s = 0; members.keep && s < static_cast<int>(shards.size()); ++s) {
    for (const int process : shards[s].filling) {
      const auto& member = record_.memory.members(process);  // MemoryX processes come first
      const uint64_t tiles = fills_.TilesOf(member.node_id(), member.incarnation(), s);
      if (tiles == 0) continue;
      filled[{s, process}] = tiles;
      going_on.Set(member.node_id(), member.incarnation(), s, tiles);
    }
  }
  fills_ = std::move(going_on);
  return filled;
}

void JobLife::MakeEpoch(const Membership& members, const NodeTable& nodes, double lease_s,
                        RunTurn& turn) {
  turn.record = turn.publish = true;
  recorded_ = false;
  StopIfInVain(turn);  // an epoch that ended for another reason may have left that open
  if (complete()) return End(DONE, "", turn);
  if (trains() && !members.keep && status().epoch() > 0) {
    Rewind(std::max(status().checkpoint_step(), record_.memory.first_step()), turn);
  }
  if (!trains()) ResetGeneration();
  absl::StatusOr<Plan> plan = Compile(status().job(), members.shape);
  if (!plan.ok()) {
    const std::string why(plan.status().message());
    // Fewer wafers may need more SRAM each; more nodes may come.
    return Refuse(why, turn);
  }
  record_.status.set_epoch(status().epoch() + 1);
  record_.status.set_state(PREPARING);
  record_.status.clear_reason();
  record_.status.set_wafers(members.shape.wafers);
  PlanSram(plan->sram.bytes);
  RememberMembers(members, nodes);
  clock_.Run(turn.now);
  noted_steps_ = status().step();
  turn.events.push_back(absl::StrFormat(
      "epoch %d: preparing %d MemoryX, %d SwarmX and %d wafer nodes", status().epoch(),
      members.shape.memoryx, members.shape.swarmx, members.shape.wafers));
  JobRun::Setup setup{.plan = *std::move(plan),
                      .terms = NextTerms(members),
                      .roster = MakeRoster(members.placed, nodes),
                      .members = members,
                      .lease_s = lease_s};
  setup.terms.filled_tiles = GoOnFilling(members);
  run_ = std::make_unique<JobRun>(std::move(setup), record_.status, statistics_);
}

// Like the peak, of the epoch that needs most; a plan that nothing was computed by does not count.
void JobLife::PlanSram(uint64_t bytes) {
  const bool measured = status().sram_peak_bytes() > 0;
  record_.status.set_sram_planned_bytes(measured ? std::max(bytes, status().sram_planned_bytes())
                                                 : bytes);
}

void JobLife::ResetGeneration() {
  record_.status.clear_generated();
  record_.status.clear_logits();
  record_.status.set_step(0);
}

void JobLife::BeginEpoch(const absl::Status& stored, RunTurn& turn) {
  if (stored.ok()) return Deliver(turn, [&](JobRun& run) { run.Begin(turn); });
  run_.reset();
  Pause(absl::StrCat("cannot record the epoch: ", stored.message()), turn);
}

// -- during an epoch -----------------------------------------------------------------------------

void JobLife::Deliver(RunTurn& turn, absl::FunctionRef<void(JobRun&)> event) {
  if (run_ == nullptr) return;
  const bool was_prepared = run_->prepared();
  event(*run_);
  if (run_->prepared() && !was_prepared && !run_->terms().keep && trains()) {
    const auto& shards = run_->plan().shape.shards;
    for (size_t s = 0; s < shards.size(); ++s) {
      for (const int owner : shards[s].owners) {
        const auto& member = record_.memory.members(owner);  // MemoryX processes come first
        holdings_.Add(member.node_id(), member.incarnation(), static_cast<int>(s));
      }
    }
    turn.record = true;
  }
  Follow(turn);
  if (turn.commit.has_value()) pending_ = turn.commit;
}

void JobLife::OnCommitDurable(const absl::Status& stored, RunTurn& turn) {
  if (!pending_.has_value()) return;
  const CommitRecord commit = *std::exchange(pending_, std::nullopt);
  if (run_ != nullptr && !run_->end().has_value()) {
    return Deliver(turn, [&](JobRun& run) { run.OnCommitDurable(stored, turn); });
  }
  if (!stored.ok() || final()) return;
  WS_MARK("controller: a commit outlived its epoch");
  commits_[commit.step] = commit;
  record_.status.set_step(commit.step + 1);
  record_.status.set_loss(commit.loss);
  ForgetAbsentHolders();
  attempts_ = 0;
  turn.publish = turn.record = true;
}

void JobLife::OnReport(int process, const NodeReport& report, uint64_t incarnation, RunTurn& turn) {
  const bool of_fill = report.has_shard_filled() || report.has_shard_filling();
  if (run_ != nullptr && of_fill) OnFill(process, report, incarnation, turn);
  Deliver(turn, [&](JobRun& run) { run.OnReport(process, report, turn); });
}

void JobLife::OnFill(int process, const NodeReport& report, uint64_t incarnation, RunTurn& turn) {
  const auto& shards = run_->plan().shape.shards;
  const uint32_t shard =
      report.has_shard_filled() ? report.shard_filled().shard() : report.shard_filling().shard();
  const bool fills = shard < shards.size() && std::count(shards[shard].filling.begin(),
                                                         shards[shard].filling.end(), process) > 0;
  if (!fills || run_->end().has_value() || !run_->prepared()) return;
  const int s = static_cast<int>(shard);
  if (report.has_shard_filling()) {
    return fills_.Set(report.node_id(), incarnation, s, report.shard_filling().tiles());
  }
  WS_MARK("controller: a missing copy was filled");
  fills_.Drop(report.node_id(), s);
  holdings_.Add(report.node_id(), incarnation, s);
  turn.events.push_back(absl::StrCat(report.node_id(), " now holds a copy of shard ", shard));
  turn.record = true;
}

bool JobLife::MayChangeMembers() const {
  return run_ != nullptr && !run_->end().has_value() && trains() && status().state() == RUNNING &&
         status().step() < status().steps() && !run_->terms().only_counts();
}

void JobLife::Follow(RunTurn& turn) {
  NoteCommit(turn);
  NoteValidations(turn);
  record_.status.set_seconds(clock_.Seconds(turn.now));
  if (run_ == nullptr || !run_->end().has_value()) return;
  const EpochEnd end = *run_->end();
  run_.reset();
  ended_s_ = turn.now.steady_s;
  OnEpochEnd(end, turn);
}

void JobLife::NoteCommit(RunTurn& turn) {
  if (run_ == nullptr || run_->training() == nullptr) return;
  const TrainingProgress& training = *run_->training();
  record_.memory.set_validated_steps(
      std::max(record_.memory.validated_steps(), training.validated_steps()));
  // Older ones can no longer be done again.
  const uint64_t keep_from = std::max<uint64_t>(status().checkpoint_step(), 1) - 1;
  commits_.erase(commits_.begin(), commits_.lower_bound(keep_from));
  const std::optional<CommitRecord>& commit = training.committed();
  if (!commit.has_value() || commit->step < noted_steps_) return;
  noted_steps_ = commit->step + 1;
  ForgetAbsentHolders();
  attempts_ = 0;
  const auto before = commits_.find(commit->step);
  const bool differs = before != commits_.end() && !SameResult(before->second, *commit);
  if (differs) {
    turn.events.push_back(absl::StrFormat(
        "step %d came out different when it was done again: loss %.17g and norm %.17g, "
        "before %.17g and %.17g",
        commit->step, commit->loss, commit->norm, before->second.loss, before->second.norm));
  }
  commits_[commit->step] = *commit;
}

void JobLife::NoteValidations(RunTurn& turn) {
  if (run_ == nullptr || !trains()) return;
  const uint64_t steps = run_->training()->validated_steps();
  if (steps > 0) {
    NoteValidation(steps, status().val_loss(), record_.status,
                   *record_.memory.mutable_validations());
  }
  NoteBestCheckpoint(record_.status);
  if (run_->end().has_value() || !StopIfInVain(turn)) return;
  WS_MARK("controller: stopped early");
  run_->Leave(absl::StrCat("ends after ", status().steps(), " steps"), turn);
}

bool JobLife::StopIfInVain(RunTurn& turn) {
  const JobMemory::Validations& validations = record_.memory.validations();
  if (!trains() || !StopsEarly(status(), validations)) return false;
  StopEarly(record_.status, validations);
  turn.events.push_back(
      absl::StrFormat("stops early: %d validations in a row were not better than %.6g",
                      validations.in_vain(), validations.to_beat()));
  turn.publish = turn.record = true;
  return true;
}

void JobLife::OnEpochEnd(const EpochEnd& end, RunTurn& turn) {
  turn.publish = turn.record = true;
  switch (end.kind) {
    case EpochEnd::Kind::kDone:
      return End(DONE, "", turn);
    case EpochEnd::Kind::kFailed:
      return End(FAILED, end.reason, turn);
    case EpochEnd::Kind::kPause:
      return Pause(end.reason, turn);
    case EpochEnd::Kind::kSwap:
      if (!status().stopped_early()) WS_MARK("controller: members changed between two steps");
      record_.status.set_state(PREPARING);
      record_.status.set_reason(end.reason);
      turn.events.push_back(end.reason);
      return;
    case EpochEnd::Kind::kRedo:
      return Redo(end, turn);
    case EpochEnd::Kind::kNoNumbers:
      if (!trains()) return End(FAILED, end.reason, turn);
      bad_ = end.bad;
      return Retry(absl::StrCat(end.reason, "; looking for where it came from"), turn);
    case EpochEnd::Kind::kDispute:
      dispute_ = end.dispute;
      return Retry(end.reason, turn);
    case EpochEnd::Kind::kCounted:
      return OnCounted(end, turn);
    case EpochEnd::Kind::kUnsaved:
      if (++unsaved_ < kSaveAttempts) return Retry(end.reason, turn);
      unsaved_ = 0;
      return Pause(absl::StrCat(end.reason, "; make room for it, then resume"), turn);
  }
}

void JobLife::Redo(const EpochEnd& end, RunTurn& turn) {
  if (end.damage.has_value()) {
    WS_MARK("controller: a copy was damaged or denied");
    if (end.damage->shards.empty()) {
      holdings_.DropNode(end.damage->node_id);
      fills_.DropNode(end.damage->node_id);
    }
    for (const uint32_t shard : end.damage->shards) {
      holdings_.Drop(end.damage->node_id, static_cast<int>(shard));
      fills_.Drop(end.damage->node_id, static_cast<int>(shard));
    }
  }
  if (attempts_ == 0) strikes_.clear();  // there has been progress since
  if (!end.suspect.empty() && ++strikes_[end.suspect] == kStrikesMax) {
    WS_MARK("controller: a node was left out");
    turn.events.push_back(absl::StrCat(end.suspect, " ended ", kStrikesMax,
                                       " epochs without progress and is left out if possible"));
  }
  Retry(end.reason, turn);
}

void JobLife::Retry(const std::string& reason, RunTurn& turn) {
  record_.status.set_redone_steps(status().redone_steps() + 1);
  if (++attempts_ >= kAttemptsMax) {
    return End(FAILED, absl::StrCat("given up after ", attempts_, " attempts: ", reason), turn);
  }
  not_before_s_ = turn.now.steady_s + PauseAfter(attempts_);
  record_.status.set_state(PREPARING);
  record_.status.set_reason(reason);
  turn.events.push_back(absl::StrCat(reason, "; the step is done again"));
  turn.publish = turn.record = true;
}

void JobLife::OnCounted(const EpochEnd& end, RunTurn& turn) {
  if (dispute_.has_value()) return SettleDispute(end.dispute, turn);
  Pause(ReportOf(*std::exchange(bad_, std::nullopt), end.bad, status().wafers()), turn);
}

void JobLife::SettleDispute(const Dispute& again, RunTurn& turn) {
  const absl::StatusOr<LiarsFound> found = FindLiars(*std::exchange(dispute_, std::nullopt), again);
  if (!found.ok()) return Pause(std::string(found.status().message()), turn);
  for (const std::string& liar : found->liars) {
    WS_MARK("controller: a liar was cordoned");
    turn.events.push_back(absl::StrCat(liar, " computed wrong and is cordoned: ", found->evidence));
    turn.cordons.push_back({liar, true, /*draining=*/true, found->evidence});
  }
  Retry(absl::StrCat(absl::StrJoin(found->liars, " and "), " computed wrong"), turn);
}

void JobLife::OnStoreTrouble(const std::string& what, RunTurn& turn) {
  record_.status.set_reason(absl::StrCat("waits to be recorded: ", what));
  turn.publish = true;
}

void JobLife::OnStoreWell(const std::string& what, RunTurn& turn) {
  turn.events.push_back(absl::StrCat("was held up, because it could not be recorded: ", what));
  if (!paused()) record_.status.clear_reason();
  turn.publish = true;
}

// -- ends ----------------------------------------------------------------------------------------

void JobLife::Pause(const std::string& reason, RunTurn& turn) {
  record_.status.set_state(PAUSED);
  record_.status.set_reason(reason);
  clock_.Stop(turn.now);
  record_.status.set_seconds(clock_.Seconds(turn.now));
  turn.events.push_back(absl::StrCat("paused: ", reason));
  turn.publish = turn.record = true;
}

uint64_t JobLife::FirstOpenStep() const {
  return pending_.has_value() ? pending_->step + 1 : status().step();
}

absl::Status JobLife::Resume(const ResumeRequest& request, RunTurn& turn) {
  ASSIGN_OR_RETURN(const bool again, WasResumedBy(request, record_.memory, status().job_id()));
  if (again) return absl::OkStatus();
  if (!paused()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "job ", status().job_id(), " is ", JobState_Name(status().state()), ", not PAUSED"));
  }
  RETURN_IF_ERROR(CheckBounds("lr", request.lr(), {}));
  NoteResumption(request, record_.memory);
  if (request.lr() > 0 || request.skip_batch()) {
    Amendment* amendment = record_.status.mutable_job()->mutable_training()->add_amendments();
    amendment->set_from_step(FirstOpenStep());
    amendment->set_lr(request.lr());
    amendment->set_skip_batch(request.skip_batch());
    // What was in doubt is another step now: what is computed then says nothing of those before.
    dispute_.reset();
    bad_.reset();
  }
  attempts_ = 0;
  strikes_.clear();
  not_before_s_ = 0;
  ended_s_ = turn.now.steady_s;
  clock_.Run(turn.now);
  GoOnWithTheseNumerics();
  record_.status.set_state(PREPARING);
  record_.status.clear_reason();
  std::string how = absl::StrCat("resumed", HowResumed(request));
  if (request.skip_batch()) absl::StrAppend(&how, " of step ", FirstOpenStep());
  turn.events.push_back(how);
  turn.publish = turn.record = true;
  return absl::OkStatus();
}

// Whoever resumes a job that was paused for it has been told. Shards of the other numerics' nodes
// would need those nodes for the next update: the checkpoint does not.
void JobLife::GoOnWithTheseNumerics() {
  JobStatus& job = record_.status;
  const uint32_t was = NumericsSaid(job.numerics());
  if (was == Numerics()) return;
  const uint64_t from_step = std::max(job.checkpoint_step(), record_.memory.first_step());
  AcceptedDifference* accepted = job.mutable_job()->mutable_checkpoint()->add_accepted();
  accepted->set_from_step(from_step);
  accepted->set_key("numerics");
  accepted->set_was(absl::StrCat(was));
  accepted->set_is(absl::StrCat(Numerics()));
  job.set_numerics(Numerics());
  holdings_.Clear();
  fills_.Clear();
  ForgetValidationsAfter(from_step, job, *record_.memory.mutable_validations());
  commits_.erase(commits_.lower_bound(from_step), commits_.end());  // not to be compared with
}

void JobLife::Cancel(RunTurn& turn) {
  if (!final()) End(CANCELLED, "cancelled by the user", turn);
}

void JobLife::End(JobState state, const std::string& reason, RunTurn& turn) {
  run_.reset();
  record_.status.set_state(state);
  record_.status.set_reason(reason);
  record_.status.set_seconds_left(0);
  clock_.Stop(turn.now);
  record_.status.set_seconds(clock_.Seconds(turn.now));
  holdings_.Clear();
  fills_.Clear();
  record_.memory.clear_members();
  const char* what = state == DONE ? "done" : state == FAILED ? "failed: " : "";
  turn.events.push_back(absl::StrCat(what, reason));
  turn.calls.clear();
  turn.commit.reset();
  turn.record = turn.publish = true;
}

}  // namespace waferstream
