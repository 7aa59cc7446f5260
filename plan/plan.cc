#include "plan/plan.h"

#include <algorithm>

#include "base/status.h"
#include "plan/learning_rate.h"

namespace waferstream {
namespace {

// Part i of `parts` when [0, total) is cut contiguously and evenly; the first ones get one more.
LeafSpan PartOf(int total, int parts, int i) {
  const int small = total / parts;
  const int larger = total % parts;
  return {i * small + std::min(i, larger), small + (i < larger ? 1 : 0)};
}

LeafSpan LeavesOf(int leaves, int waves, int wave, int wafers, int wafer) {
  WS_CHECK(0 <= wave && wave < waves && 0 <= wafer && wafer < wafers);
  const LeafSpan of_wave = PartOf(leaves, waves, wave);
  LeafSpan span = PartOf(of_wave.count, wafers, wafer);
  span.first += of_wave.first;
  return span;
}

bool IsDue(uint64_t steps_done, uint64_t every, uint64_t steps) {
  if (steps_done == 0) return false;
  return steps_done == steps || (every > 0 && steps_done % every == 0);
}

}  // namespace

LeafSpan Plan::TrainingLeaves(int wave, int wafer) const {
  return LeavesOf(leaves, waves, wave, shape.wafers, wafer);
}

LeafSpan Plan::ValidationLeaves(int wave, int wafer) const {
  return LeavesOf(validation_leaves, validation_waves, wave, shape.wafers, wafer);
}

bool IsValidationDue(const JobSpec& job, uint64_t steps_done) {
  const uint64_t every = job.training().validate_every();
  if (job.data().validation().empty() || every == 0) return false;
  return IsDue(steps_done, every, LastStep(job.training()));
}

bool IsCheckpointDue(const JobSpec& job, uint64_t steps_done) {
  const uint64_t steps = LastStep(job.training());
  if (IsDue(steps_done, job.checkpoint().every(), steps)) return true;
  return job.checkpoint().keep_best() && IsValidationDue(job, steps_done);
}

bool Plan::ValidationDue(uint64_t steps_done) const {
  return validation_waves > 0 && IsValidationDue(job, steps_done);
}

bool Plan::CheckpointDue(uint64_t steps_done) const { return IsCheckpointDue(job, steps_done); }

uint64_t Plan::Batch(uint64_t step) const {
  uint64_t batch = step;
  for (const Amendment& amendment : job.training().amendments()) {
    if (amendment.from_step() <= step && amendment.skip_batch()) ++batch;
  }
  return batch;
}

double Plan::LearningRate(uint64_t step) const { return LearningRateOf(job.training(), step); }

const char* RecomputeName(Recompute recompute) {
  switch (recompute) {
    case RECOMPUTE_NONE:
      return "none";
    case RECOMPUTE_SELECTIVE:
      return "selective";
    case RECOMPUTE_FULL:
      return "full";
    default:
      return "auto";
  }
}

bool Plan::Holds(int process, int tile) const {
  const ShardHolders& shard = shape.shards[tiles[tile].shard];
  return std::find(shard.owners.begin(), shard.owners.end(), process) != shard.owners.end() ||
         std::find(shard.filling.begin(), shard.filling.end(), process) != shard.filling.end();
}

std::vector<ShardHolders> DealShards(int processes, int replicas) {
  std::vector<ShardHolders> shards(processes);
  for (int s = 0; s < processes; ++s) {
    for (int r = 0; r < std::clamp(replicas, 1, processes); ++r) {
      shards[s].owners.push_back((s + r) % processes);
    }
  }
  return shards;
}

ClusterShape RequestedShape(const JobSpec& job) {
  ClusterShape shape;
  shape.wafers = static_cast<int>(job.cluster().wafers());
  shape.memoryx = static_cast<int>(job.cluster().memoryx());
  shape.swarmx = static_cast<int>(job.cluster().swarmx());
  return shape;
}

ClusterShape ShapeOf(const Roster& roster,
                     const google::protobuf::RepeatedPtrField<ShardOwners>& shards) {
  ClusterShape shape;
  shape.wafers = roster.wafers_size();
  shape.memoryx = roster.memoryx_size();
  shape.swarmx = roster.swarmx_size();
  for (const ShardOwners& shard : shards) {
    shape.shards.push_back({{shard.owners().begin(), shard.owners().end()},
                            {shard.filling().begin(), shard.filling().end()}});
  }
  return shape;
}

}  // namespace waferstream
