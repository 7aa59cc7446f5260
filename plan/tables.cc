#include "plan/tables.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "plan/job_keys.h"

namespace waferstream {
namespace {

// A validation takes this many global batches; the same sequences every time.
constexpr int kValidationBatches = 8;
constexpr uint64_t kDefaultTileElements = uint64_t{1} << 20;
// Tile indices are int, and stay far from its end.
constexpr int64_t kTilesMax = int64_t{1} << 30;

absl::Status CheckShape(const ClusterShape& shape) {
  const std::pair<const char*, int> counts[] = {
      {"wafers", shape.wafers}, {"memoryx", shape.memoryx}, {"swarmx", shape.swarmx}};
  for (const auto& [field, count] : counts) {
    if (count < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("cluster.", field, ": ", count, " is not positive"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckBatch(const TrainingSpec& training) {
  if (training.global_batch() % training.micro_batch() == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("training.global_batch: ", training.global_batch(),
                   " is not divisible by training.micro_batch: ", training.micro_batch()));
}

absl::Status CheckOptimizer(const TrainingSpec& training) {
  if (training.optimizer().kind_case() != Optimizer::KIND_NOT_SET) return absl::OkStatus();
  return absl::InvalidArgumentError("training.optimizer: give one of adamw, sgd");
}

// One sequence, forward only.
JobSpec AsOneSequence(JobSpec job) {
  TrainingSpec* training = job.mutable_training();
  training->set_steps(0);
  training->set_global_batch(1);
  training->set_micro_batch(1);
  if (training->tile_elements() == 0) training->set_tile_elements(kDefaultTileElements);
  return job;
}

absl::Status CheckTileCount(const std::vector<Parameter>& parameters, uint64_t tile_elements) {
  double tiles = 0;
  for (const Parameter& p : parameters) {
    tiles += 1.0 + static_cast<double>(p.rows) * p.cols / tile_elements;
  }
  if (tiles < kTilesMax) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("training.tile: ", tile_elements,
                                                 " elements make more than ", kTilesMax, " tiles"));
}

// Deals tiles out in order, each to the MemoryX process with the fewest elements so far, and there
// to the plane with the fewest of that process. Balance by bytes and not by count, because matrices
// and vectors alternate; and consecutive large tiles come from different owners on different
// planes.
void Deal(std::vector<Tile>& tiles, int memoryx, int planes) {
  using Load = std::tuple<int64_t, int, int>;  // elements, preference, plane or owner
  using Queue = std::priority_queue<Load, std::vector<Load>, std::greater<Load>>;
  Queue owners;
  std::vector<Queue> planes_of(memoryx);
  for (int m = 0; m < memoryx; ++m) {
    owners.push({0, m, m});
    // Each owner prefers another plane, so that owners do not take turns in step.
    for (int i = 0; i < planes; ++i) planes_of[m].push({0, i, (m + i) % planes});
  }
  const auto take = [](Queue& queue, int64_t elements) {
    auto [load, preference, index] = queue.top();
    queue.pop();
    queue.push({load + elements, preference, index});
    return index;
  };
  for (Tile& tile : tiles) {
    tile.owner = take(owners, tile.elements);
    tile.plane = take(planes_of[tile.owner], tile.elements);
  }
}

void SizeSlots(Plan& plan) {
  for (size_t i = 0; i < plan.tiles.size(); ++i) {
    const int tile = static_cast<int>(i);
    const SlotClass slot = plan.tiles[i].slot;
    plan.tile_slot_bytes[slot] = std::max(plan.tile_slot_bytes[slot], plan.TileBytes(tile));
    plan.gradient_slot_bytes[slot] =
        std::max(plan.gradient_slot_bytes[slot], plan.GradientBytes(tile));
    plan.parameter_elements += plan.tiles[i].elements;
  }
}

}  // namespace

absl::StatusOr<Plan> BuildTables(const JobSpec& job, const ClusterShape& shape) {
  RETURN_IF_ERROR(CheckShape(shape));
  RETURN_IF_ERROR(CheckRanges(job));
  Plan plan;
  plan.job = job.has_generate() ? AsOneSequence(job) : job;
  plan.shape = shape;
  const TrainingSpec& training = plan.job.training();
  RETURN_IF_ERROR(CheckBatch(training));
  if (!plan.is_generation()) RETURN_IF_ERROR(CheckOptimizer(training));
  plan.wire = training.precision() == BF16 ? Dtype::kBf16 : Dtype::kF32;

  ASSIGN_OR_RETURN(plan.parameters, BuildParameters(plan.job.model()));
  RETURN_IF_ERROR(CheckTileCount(plan.parameters, training.tile_elements()));
  plan.tiles = CutTiles(plan.parameters, training.tile_elements());
  Deal(plan.tiles, shape.memoryx, static_cast<int>(plan.job.cluster().planes()));
  SizeSlots(plan);

  plan.leaves = static_cast<int>(training.global_batch() / training.micro_batch());
  const bool validates =
      !plan.is_generation() && !job.data().validation().empty() && training.validate_every() > 0;
  plan.validation_leaves = validates ? kValidationBatches * plan.leaves : 0;
  return plan;
}

}  // namespace waferstream
