// The MemoryX process: what of the role is not the core's, because it blocks on files.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/folder.h"
#include "checkpoint/ownership.h"
#include "memoryx/kept_shards.h"
#include "memoryx/memory_faults.h"
#include "memoryx/place.h"
#include "memoryx/tile_store.h"
#include "node/role.h"

namespace waferstream {

// Keeps its shards from one epoch of a job to the next; another job's Prepare, or Release, forgets
// them. Process 0 also seals checkpoints, and removes what was never sealed: when it is prepared
// anew, while no other process can be writing, and at the end.
class MemoryxRole final : public NodeRole {
 public:
  // The faults of the machine with this node id, for as long as the role lives; null for a sound
  // one.
  using MakeFaults = std::function<std::unique_ptr<MemoryFaults>(const std::string& node_id)>;

  // `disk` must outlive it. `make_faults` is for test builds.
  explicit MemoryxRole(Disk& disk, MakeFaults make_faults = nullptr)
      : disk_(disk), make_faults_(std::move(make_faults)) {}
  ~MemoryxRole() override;

  Role kind() const override { return MEMORYX; }

  absl::StatusOr<std::unique_ptr<RoleCore>> Prepare(const PrepareRequest& request, const Plan& plan,
                                                    PrepareReply* reply) override;

  void Release() override;

  // FAILED_PRECONDITION: nothing was written for this step, or this is not process 0.
  absl::StatusOr<SealReply> Seal(const SealRequest& request) override;

 private:
  struct SealingJob {
    JobSpec job;
    WriterEpoch epoch;
    std::vector<std::string> ancestors;
    CheckpointFormat format;
    std::string kernel_isa;
  };

  // Whether this host sees the folder of checkpoints in which the controller left the job's mark.
  // INVALID_ARGUMENT: no.
  absl::Status CheckShared(const JobSpec& job, const WriterEpoch& epoch) const;

  // Makes checkpoint.dir the job's and the epoch's. INVALID_ARGUMENT: it is another job's, or
  // cannot be used at all; UNAVAILABLE: the disk fails, which may pass.
  absl::Status TakeFolder(const PrepareRequest& request, const JobSpec& job,
                          const WriterEpoch& epoch);

  // The job is over here, or at least this process's part in its folder.
  void LeaveFolder();

  // What this process holds in the epoch, at its start_step.
  absl::StatusOr<TileStore> HoldShards(const PrepareRequest& request, const Plan& plan,
                                       const MemoryxPlace& place);

  // Of this machine; null: it is sound.
  MemoryFaults* Faults(const PrepareRequest& request);

  Disk& disk_;
  const MakeFaults make_faults_;
  std::unique_ptr<MemoryFaults> faults_;
  std::string job_id_;  // whose shards are kept
  KeptShards kept_;
  std::optional<SealingJob> sealing_;   // of process 0 of a training job
  std::unique_ptr<FolderClaim> claim_;  // while it is, and between its epochs
};

}  // namespace waferstream
