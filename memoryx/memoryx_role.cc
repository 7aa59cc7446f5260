#include "memoryx/memoryx_role.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/worker_pool.h"
#include "checkpoint/seal.h"
#include "memoryx/memoryx_core.h"
#include "memoryx/partial_checkpoint.h"
#include "memoryx/tile_loader.h"
#include "plan/job_kind.h"

namespace waferstream {
namespace {

// Finds out before the first step, not at the first checkpoint, that the folder cannot be used.
// Once a job has begun, the folder was good, and the disk is at fault: that may pass.
absl::Status BlameFolder(const absl::Status& status, uint32_t epoch) {
  if (epoch > 1 || MayPass(status)) return absl::UnavailableError(status.message());
  return absl::InvalidArgumentError(absl::StrCat("checkpoint.dir: ", status.message()));
}

std::optional<StepUpdate> LastCommitOf(const PrepareRequest& request) {
  if (!request.has_last_commit()) return std::nullopt;
  const CommitRequest& commit = request.last_commit();
  return StepUpdate{commit.step(), commit.clip_factor(), commit.learning_rate()};
}

std::map<std::pair<int, int>, size_t> FilledTiles(const PrepareRequest& request) {
  std::map<std::pair<int, int>, size_t> filled;
  for (int s = 0; request.keep() && s < request.shards_size(); ++s) {
    const ShardOwners& shard = request.shards(s);
    for (int i = 0; i < std::min(shard.filling_size(), shard.filled_tiles_size()); ++i) {
      filled[{s, static_cast<int>(shard.filling(i))}] = shard.filled_tiles(i);
    }
  }
  return filled;
}

}  // namespace

MemoryxRole::~MemoryxRole() { LeaveFolder(); }

// Nobody but this job, and those that go on from it, would take away what it never sealed. Best
// effort.
void MemoryxRole::LeaveFolder() {
  if (!sealing_) return;
  RemovePartialFolders(disk_, sealing_->job.checkpoint().dir(), sealing_->epoch).IgnoreError();
  sealing_.reset();
}

// A folder that only one host has would get a part of every checkpoint, and none would be whole.
absl::Status MemoryxRole::CheckShared(const JobSpec& job, const WriterEpoch& epoch) const {
  const std::string& dir = job.checkpoint().dir();
  const absl::StatusOr<std::string> owner = OwnerOf(disk_, dir);
  if (!owner.ok()) return BlameFolder(owner.status(), epoch.epoch);
  if (!owner->empty()) return absl::OkStatus();  // another job's is for whoever takes it to say
  return absl::InvalidArgumentError(
      absl::StrCat("checkpoint.dir: ", dir,
                   " is another folder on this host than on the controller's: it has to be one "
                   "that all MemoryX nodes and the controller share"));
}

absl::Status MemoryxRole::TakeFolder(const PrepareRequest& request, const JobSpec& job,
                                     const WriterEpoch& epoch) {
  const CheckpointSpec& checkpoint = job.checkpoint();
  const std::vector<std::string> ancestors(request.ancestors().begin(), request.ancestors().end());
  auto claim = ClaimFolder(disk_, checkpoint.dir(),
                           {.job_id = request.job_id(),
                            .name = job.name(),
                            .ancestors = ancestors,
                            .from = checkpoint.from(),
                            .start_step = request.start_step()});
  if (absl::IsFailedPrecondition(claim.status())) {
    return absl::InvalidArgumentError(absl::StrCat("checkpoint.dir: ", claim.status().message()));
  }
  if (!claim.ok()) return BlameFolder(claim.status(), epoch.epoch);
  const absl::Status begun = BeginEpoch(disk_, checkpoint.dir(), epoch, ancestors);
  if (!begun.ok()) return BlameFolder(begun, epoch.epoch);
  // That of an epoch before may be the one that holds the lock.
  if (claim_ == nullptr || !claim_->first()) claim_ = *std::move(claim);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<RoleCore>> MemoryxRole::Prepare(const PrepareRequest& request,
                                                               const Plan& plan,
                                                               PrepareReply* reply) {
  if (request.job_id() != job_id_) LeaveFolder();
  sealing_.reset();
  if (request.job_id() != job_id_ || request.index() != 0) claim_.reset();
  const MemoryxPlace place = {static_cast<int>(request.index()), request.epoch(),
                              request.start_step(), request.checkpoint_now(), FilledTiles(request)};
  std::unique_ptr<CheckpointSink> sink;
  if (Trains(plan.job)) {
    CheckpointFormat format = CheckpointFormatOf(plan);
    const WriterEpoch epoch = {request.job_id(), request.epoch()};
    if (request.folder_marked()) RETURN_IF_ERROR(CheckShared(plan.job, epoch));
    sink = std::make_unique<PartialCheckpoint>(disk_, plan, epoch);
    if (place.process == 0) {
      RETURN_IF_ERROR(TakeFolder(request, plan.job, epoch));
      sealing_ = SealingJob{plan.job, epoch, {}, std::move(format), request.kernel_isa()};
      sealing_->ancestors.assign(request.ancestors().begin(), request.ancestors().end());
    }
  }
  absl::StatusOr<TileStore> store = HoldShards(request, plan, place);
  if (!store.ok()) {
    claim_.reset();  // there is no epoch whose Release would
    return store.status();
  }
  ASSIGN_OR_RETURN(std::unique_ptr<MemoryxCore> core,
                   MemoryxCore::Create(plan, place, *std::move(store), std::move(sink)));
  reply->set_resident_bytes(core->resident_bytes());
  return core;
}

MemoryFaults* MemoryxRole::Faults(const PrepareRequest& request) {
  if (make_faults_ != nullptr && faults_ == nullptr) {
    const int process = static_cast<int>(request.index());
    faults_ = make_faults_(request.roster().memoryx(process).node_id());
  }
  return faults_.get();
}

absl::StatusOr<TileStore> MemoryxRole::HoldShards(const PrepareRequest& request, const Plan& plan,
                                                  const MemoryxPlace& place) {
  if (request.job_id() != job_id_ || !request.keep()) kept_.Forget();
  job_id_ = request.job_id();
  WorkerPool pool(UsableCpus());
  if (request.keep()) {
    RETURN_IF_ERROR(kept_.Settle(plan, place, LastCommitOf(request), pool));
  }
  ASSIGN_OR_RETURN(TileStore::Shards shards, kept_.Allocate(plan, place, Faults(request)));
  TileStore store(plan, place.process, std::move(shards));
  if (!request.keep()) {
    RETURN_IF_ERROR(LoadTiles(disk_, plan, place, request.restore(), pool, store));
  }
  return store;
}

void MemoryxRole::Release() {
  kept_.Forget();
  LeaveFolder();
  if (claim_ != nullptr) claim_->Release();
  claim_.reset();
}

absl::StatusOr<SealReply> MemoryxRole::Seal(const SealRequest& request) {
  if (!sealing_) {
    return absl::FailedPreconditionError("only the first MemoryX node of a training job seals");
  }
  Manifest manifest;
  manifest.steps_done = request.steps_done();
  manifest.loss = request.loss();
  manifest.kernel_isa = sealing_->kernel_isa;
  manifest.job = sealing_->job;
  manifest.ancestors = sealing_->ancestors;
  ASSIGN_OR_RETURN(const SealedCheckpoint sealed,
                   SealCheckpoint(disk_, sealing_->format, sealing_->epoch, std::move(manifest),
                                  {request.known_steps(), request.best_steps()}));
  SealReply reply;
  reply.set_path(sealed.entry.path);
  reply.set_weights_hash(sealed.entry.manifest.weights_hash);
  reply.set_optimizer_hash(sealed.entry.manifest.optimizer_hash);
  reply.mutable_notes()->Assign(sealed.notes.begin(), sealed.notes.end());
  return reply;
}

}  // namespace waferstream
