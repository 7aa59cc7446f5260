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
#include "plan/job_fields.h"
#include "plan/job_keys.h"
#include "plan/job_kind.h"
#include "plan/learning_rate.h"
#include "plan/parameter_choice.h"

namespace waferstream {
namespace {

constexpr uint64_t kDefaultTileElements = uint64_t{1} << 20;
// A trillion parameters in tiles of a million take half of it. With the next ones: what a job
// may make its plan allocate and try, whoever sent it.
constexpr int64_t kTilesMax = int64_t{1} << 21;
constexpr uint64_t kTileElementsMax = uint64_t{1} << 30;
constexpr int64_t kChannelsMax = int64_t{1} << 20;
// Entries of all shards' lists of owners.
constexpr int64_t kHoldersMax = int64_t{1} << 20;

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

absl::Status CheckHolders(const ClusterShape& shape) {
  for (size_t s = 0; s < shape.shards.size(); ++s) {
    const ShardHolders& shard = shape.shards[s];
    std::vector<int> all = shard.owners;
    all.insert(all.end(), shard.filling.begin(), shard.filling.end());
    std::sort(all.begin(), all.end());
    const bool sound = !shard.owners.empty() && all.front() >= 0 && all.back() < shape.memoryx &&
                       std::adjacent_find(all.begin(), all.end()) == all.end();
    if (!sound) {
      return absl::InvalidArgumentError(
          absl::StrCat("shards: shard ", s, " does not name different MemoryX processes of ",
                       shape.memoryx, ", an owner among them"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckCluster(const ClusterSpec& cluster) {
  const auto within = [](const char* field, uint32_t low, const char* limit, uint32_t high) {
    if (low <= high) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("cluster.", field, ": ", low, " is more than cluster.", limit, ": ", high));
  };
  RETURN_IF_ERROR(within("wafers.min", cluster.wafers_min(), "wafers.max", cluster.wafers()));
  return within("memoryx.replicas", cluster.replicas(), "memoryx.nodes", cluster.memoryx());
}

absl::Status CheckBatch(const TrainingSpec& training) {
  if (training.global_batch() % training.micro_batch() != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("training.global_batch: ", training.global_batch(),
                     " is not divisible by training.micro_batch: ", training.micro_batch()));
  }
  const uint32_t leaves = training.global_batch() / training.micro_batch();
  if (leaves <= kLeavesMax) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("training.micro_batch: ", training.micro_batch(), " makes ", leaves,
                   " micro-batches of a global batch, more than ", kLeavesMax));
}

bool Validates(const JobSpec& job) {
  if (Evaluates(job)) return true;
  return Trains(job) && !job.data().validation().empty() && job.training().validate_every() > 0;
}

// Sequences of the job's validation: those that it asks for, or all that its file has. While nobody
// has looked into the file (`waferctl plan`), as many as a global batch stand for all.
absl::StatusOr<int64_t> ValidationSequences(const JobSpec& job) {
  if (!Validates(job)) return 0;
  const uint64_t tokens = job.data().validation_content().tokens();
  const uint64_t asked = job.data().validation_sequences();
  if (tokens == 0) return asked > 0 ? asked : job.training().global_batch();
  const uint64_t all = (tokens - 1) / job.model().context();
  if (asked <= all) return asked > 0 ? asked : all;
  return absl::InvalidArgumentError(absl::StrCat("data.validation_sequences: ", asked, ", but ",
                                                 job.data().validation(), " has ", all,
                                                 " sequences of context ", job.model().context()));
}

absl::Status SizeValidation(Plan& plan) {
  ASSIGN_OR_RETURN(plan.validation_sequences, ValidationSequences(plan.job));
  const int64_t micro = plan.job.training().micro_batch();
  const int64_t leaves = (plan.validation_sequences + micro - 1) / micro;
  if (leaves > kValidationLeavesMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "data.validation_sequences: ", plan.validation_sequences, " sequences (0 means all) make ",
        leaves, " micro-batches of ", micro, ", more than ", kValidationLeavesMax));
  }
  plan.validation_leaves = static_cast<int>(leaves);
  return absl::OkStatus();
}

constexpr int kFilesMax = 4096;  // a block of mixed samples has one of each (data/mixture_order.h)

absl::Status CheckMixture(const DataSpec& data) {
  if (data.train_size() > kFilesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("data.train: ", data.train_size(), " files are more than ", kFilesMax));
  }
  if (data.weights().empty() || data.weights_size() == data.train_size()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("data.weights: ", data.weights_size(),
                                                 " numbers, but data.train has ", data.train_size(),
                                                 " files"));
}

absl::Status CheckEvaluation(const JobSpec& job) {
  if (job.data().validation().empty()) {
    return absl::InvalidArgumentError("data.validation: is needed to evaluate");
  }
  if (!job.data().each_sequence() || job.training().micro_batch() == 1) return absl::OkStatus();
  return absl::InvalidArgumentError("data.each_sequence: needs training.micro_batch: 1");
}

// What looks at validations needs some.
absl::Status CheckValidations(const JobSpec& job) {
  const TrainingSpec& training = job.training();
  const char* key = training.has_early_stop()      ? "training.early_stop"
                    : job.checkpoint().keep_best() ? "checkpoint.keep_best"
                                                   : nullptr;
  if (key == nullptr || Validates(job)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(key, ": needs data.validation and a training.validate_every above 0"));
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

// Every plane has a channel from each MemoryX process to its root, and at most two for each wafer
// below it.
absl::Status CheckSizes(const JobSpec& job, const ClusterShape& shape) {
  const ClusterSpec& cluster = job.cluster();
  const int64_t sources = std::max<int64_t>(shape.memoryx, shape.shards.size());
  if (cluster.planes() * (sources + 2 * int64_t{shape.wafers}) > kChannelsMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cluster.planes: ", cluster.planes(), " planes of ", shape.wafers, " wafers and ", sources,
        " MemoryX nodes make more than ", kChannelsMax, " channels"));
  }
  if (shape.shards.empty() && int64_t{shape.memoryx} * cluster.replicas() > kHoldersMax) {
    return absl::InvalidArgumentError(absl::StrCat("cluster.memoryx.replicas: ", cluster.replicas(),
                                                   " copies of ", shape.memoryx,
                                                   " shards are more than ", kHoldersMax));
  }
  return absl::OkStatus();
}

absl::Status CheckTileCount(const std::vector<Parameter>& parameters, uint64_t tile_elements) {
  if (tile_elements > kTileElementsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("training.tile: ", tile_elements, " must be at most ", kTileElementsMax));
  }
  double tiles = 0;
  for (const Parameter& p : parameters) {
    tiles += 1.0 + static_cast<double>(p.rows) * p.cols / tile_elements;
  }
  if (tiles < kTilesMax) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("training.tile: ", tile_elements,
                                                 " elements make more than ", kTilesMax, " tiles"));
}

// Deals tiles out in order, each to the shard with the fewest elements so far, and there to the
// plane with the fewest of that shard. Balance by bytes and not by count, because matrices and
// vectors alternate; and consecutive large tiles come from different shards on different planes.
void Deal(std::vector<Tile>& tiles, int shards, int planes) {
  using Load = std::tuple<int64_t, int, int>;  // elements, preference, plane or shard
  using Queue = std::priority_queue<Load, std::vector<Load>, std::greater<Load>>;
  Queue shard_loads;
  std::vector<Queue> planes_of(shards);
  for (int s = 0; s < shards; ++s) {
    shard_loads.push({0, s, s});
    // Each shard prefers another plane, so that shards do not take turns in step.
    for (int i = 0; i < planes; ++i) planes_of[s].push({0, i, (s + i) % planes});
  }
  const auto take = [](Queue& queue, int64_t elements) {
    auto [load, preference, index] = queue.top();
    queue.pop();
    queue.push({load + elements, preference, index});
    return index;
  };
  for (Tile& tile : tiles) {
    tile.shard = take(shard_loads, tile.elements);
    tile.plane = take(planes_of[tile.shard], tile.elements);
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
  RETURN_IF_ERROR(CheckHolders(shape));
  RETURN_IF_ERROR(CheckKeys(job));
  if (job.has_generate()) RETURN_IF_ERROR(CheckGeneration(job.generate(), job.model()));
  RETURN_IF_ERROR(CheckAmendments(job.training()));
  RETURN_IF_ERROR(CheckCluster(job.cluster()));
  RETURN_IF_ERROR(CheckSizes(job, shape));
  Plan plan;
  plan.job = job.has_generate() ? AsOneSequence(job) : job;
  plan.shape = shape;
  if (plan.shape.shards.empty()) {
    const int replicas = Trains(job) ? static_cast<int>(job.cluster().replicas()) : 1;
    plan.shape.shards = DealShards(shape.memoryx, replicas);
  }
  const TrainingSpec& training = plan.job.training();
  RETURN_IF_ERROR(CheckBatch(training));
  if (Trains(job)) {
    RETURN_IF_ERROR(CheckOptions([&](absl::string_view s) { return HasSection(job, s); }));
    RETURN_IF_ERROR(CheckLearningRate(training));
    RETURN_IF_ERROR(CheckValidations(job));
  }
  RETURN_IF_ERROR(CheckMixture(job.data()));
  if (Evaluates(job)) RETURN_IF_ERROR(CheckEvaluation(job));
  plan.wire = training.precision() == BF16 ? Dtype::kBf16 : Dtype::kF32;

  ASSIGN_OR_RETURN(Model model, BuildModel(plan.job.model()));
  plan.graph = std::move(model.graph);
  if (Trains(job)) plan.graph.SetLossTerms(training.label_smoothing(), training.z_loss());
  plan.parameters = std::move(model.parameters);
  if (Trains(job)) RETURN_IF_ERROR(ChooseParameters(plan.job, plan.graph, plan.parameters));
  RETURN_IF_ERROR(CheckTileCount(plan.parameters, training.tile_elements()));
  plan.tiles = CutTiles(plan.parameters, training.tile_elements());
  Deal(plan.tiles, static_cast<int>(plan.shape.shards.size()),
       static_cast<int>(plan.job.cluster().planes()));
  SizeSlots(plan);

  plan.leaves = static_cast<int>(training.global_batch() / training.micro_batch());
  const bool verifies = Trains(job) && training.verify() > 0 && shape.wafers > 1;
  plan.verify_slots = verifies ? 1 : 0;
  RETURN_IF_ERROR(SizeValidation(plan));
  return plan;
}

}  // namespace waferstream
