#include "plan/plan.h"

#include <algorithm>
#include <cmath>

#include "base/status.h"

namespace waferstream {
namespace {

constexpr double kPi = 3.14159265358979323846;

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

double PeakLearningRate(const TrainingSpec& training, uint64_t step) {
  const Optimizer& optimizer = training.optimizer();
  double lr = optimizer.has_sgd() ? optimizer.sgd().lr() : optimizer.adamw().lr();
  for (const Amendment& amendment : training.amendments()) {
    if (amendment.from_step() <= step && amendment.lr() > 0) lr = amendment.lr();
  }
  return lr;
}

}  // namespace

LeafSpan Plan::TrainingLeaves(int wave, int wafer) const {
  return LeavesOf(leaves, waves, wave, shape.wafers, wafer);
}

LeafSpan Plan::ValidationLeaves(int wave, int wafer) const {
  return LeavesOf(validation_leaves, validation_waves, wave, shape.wafers, wafer);
}

bool IsCheckpointDue(const JobSpec& job, uint64_t steps_done) {
  return IsDue(steps_done, job.checkpoint().every(), job.training().steps());
}

bool IsValidationDue(const JobSpec& job, uint64_t steps_done) {
  const uint64_t every = job.training().validate_every();
  if (job.data().validation().empty() || every == 0) return false;
  return IsDue(steps_done, every, job.training().steps());
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

double Plan::LearningRate(uint64_t step) const {
  const double lr = PeakLearningRate(job.training(), step);
  if (!job.training().schedule().has_cosine()) return lr;
  const Cosine& cosine = job.training().schedule().cosine();
  const double t = static_cast<double>(step);
  const double warmup = static_cast<double>(cosine.warmup());
  const double steps = static_cast<double>(job.training().steps());
  if (t < warmup) return lr * (t + 1) / warmup;
  if (steps <= warmup) return lr;
  const double r = std::min(1.0, (t - warmup) / (steps - warmup));
  return cosine.min_lr() + 0.5 * (1 + std::cos(kPi * r)) * (lr - cosine.min_lr());
}

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
