// The plan: the compiled job, everything every role needs to know, fixed before the first tile
// moves.
//
// Compile() is a pure function of (job, cluster shape): every process derives the same plan from
// the same inputs and compares Hash(). From the plan and its own position a role knows what comes
// next; nobody is told tile by tile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/credit.h"
#include "base/dtype.h"
#include "plan/graph.h"
#include "plan/job_kind.h"
#include "plan/model.h"
#include "plan/program.h"
#include "plan/sram.h"
#include "plan/value_places.h"
#include "proto/job.pb.h"
#include "proto/node.pb.h"

namespace waferstream {

// Who has one shard of the tiles, by MemoryX process. owners[0], the primary, streams it; all
// owners hold it and apply its updates; `filling` become owners as the primary sends them its
// tiles.
struct ShardHolders {
  std::vector<int> owners;
  std::vector<int> filling;
  friend bool operator==(const ShardHolders&, const ShardHolders&) = default;
};

// How many processes of each role take part, and who has what; may differ from what the job asked
// for. The number of shards is the job's for good (cluster.memoryx), so that a tile never changes
// its shard; processes come and go.
struct ClusterShape {
  int wafers = 1;
  int memoryx = 1;
  int swarmx = 1;
  std::vector<ShardHolders> shards = {};  // empty: DealShards
};

// A place in the trees. For SwarmX `node` indexes Plan::tree_nodes; for the others it equals
// process.
struct Endpoint {
  Role role = MEMORYX;
  int process = 0;
  int node = 0;
};

// kTree: tiles flow from `up` to `down`, gradients from `down` to `up`. kCopy: from a shard's
// primary to a process that fills it; its frames are kTile frames of a tile's weights, fp32, and
// optimizer state, as plan/optimizer_state describes it, one array after the other
// (memoryx/held_tile). The down end dials.
enum class ChannelKind { kTree, kCopy };

struct Channel {
  int id = 0;  // index in Plan::channels; those of trees come first
  ChannelKind kind = ChannelKind::kTree;
  int plane = 0;  // kTree
  int shard = 0;  // kCopy
  Endpoint up;
  Endpoint down;
  Credit tile_window;      // receive slots at `down`
  Credit gradient_window;  // receive slots at `up`
};

// One node of one plane's tree. Several may live in one SwarmX process.
struct TreeNode {
  int plane = 0;
  int process = 0;
  std::vector<int> up_channels;    // to the parent, or, at the root, to each MemoryX (by process)
  std::vector<int> down_channels;  // to children, in order of the wafers below
};

// Leaves [first, first + count).
struct LeafSpan {
  int first = 0;
  int count = 0;
};

struct Plan {
  JobSpec job;
  ClusterShape shape;
  Dtype wire = Dtype::kF32;  // of tiles; gradients are always fp32

  Graph graph;
  std::vector<Parameter> parameters;
  std::vector<Tile> tiles;  // in parameter order
  int64_t parameter_elements = 0;

  int leaves = 0;        // micro-batches of a global batch
  int resident_max = 0;  // micro-batches of one wafer in one wave, at the most
  int verify_slots = 0;  // further ones, of other wafers, that it may check (plan/verify.h): 0 or 1
  int waves = 0;         // of a training step
  int64_t validation_sequences =
      0;  // of a validation; the last of its micro-batches may have fewer
  int validation_leaves = 0;
  int validation_waves = 0;

  std::vector<TreeNode> tree_nodes;  // all planes; children before parents
  std::vector<Channel> channels;
  size_t tile_slot_bytes[kSlotClasses] = {0, 0};
  size_t gradient_slot_bytes[kSlotClasses] = {0, 0};

  KeepPolicy policy;
  Program program;     // what a wafer computes; the stream orders of all roles
  ValuePlaces places;  // where the program's values are within a micro-batch's bytes
  SramLayout sram;     // where everything is, to the byte

  // MemoryX processes: who streams the tile; and whether the process receives its gradients, be it
  // as an owner or while it fills the shard.
  int Primary(int tile) const { return shape.shards[tiles[tile].shard].owners[0]; }
  bool Holds(int process, int tile) const;

  // Micro-batches of `wafer` in `wave` of a training step (or of a validation); count may be 0.
  LeafSpan TrainingLeaves(int wave, int wafer) const;
  LeafSpan ValidationLeaves(int wave, int wafer) const;

  bool is_generation() const { return job.has_generate(); }
  // Steps that a training has, all in all.
  uint64_t steps() const { return LastStep(job.training()); }
  // Whether something is due after `steps_done` steps. The last step is always due for both.
  bool ValidationDue(uint64_t steps_done) const;
  bool CheckpointDue(uint64_t steps_done) const;

  // Which global batch of the data 0-based step t takes: t, and one more for each skipped before.
  uint64_t Batch(uint64_t step) const;

  // The learning rate of 0-based step t (plan/learning_rate.h).
  double LearningRate(uint64_t step) const;

  // Of a micro-batch.
  int64_t tokens() const { return int64_t{job.training().micro_batch()} * job.model().context(); }

  size_t TileBytes(int tile) const { return tiles[tile].elements * BytesOf(wire); }
  size_t GradientBytes(int tile) const { return tiles[tile].elements * sizeof(float); }

  // XXH3-64 over the inputs and every table above.
  uint64_t Hash() const;
};

// INVALID_ARGUMENT: the job contradicts itself (one line, naming the field).
// RESOURCE_EXHAUSTED: it cannot fit; the message shows the arithmetic and what would make it fit.
absl::StatusOr<Plan> Compile(const JobSpec& job, const ClusterShape& shape);

// Whether a checkpoint, or a validation, is due after `steps_done` steps of a training job.
bool IsCheckpointDue(const JobSpec& job, uint64_t steps_done);
bool IsValidationDue(const JobSpec& job, uint64_t steps_done);

// "auto", "none", "selective", "full": the words of training.recompute.
const char* RecomputeName(Recompute recompute);

// Who holds the shards of a cluster in which nobody is lost: shard s has the owners s, s + 1, ...
// of `processes`, as many as `replicas` (at least one, at most all).
std::vector<ShardHolders> DealShards(int processes, int replicas);

// The shape that the job itself asks for.
ClusterShape RequestedShape(const JobSpec& job);

// The shape that an epoch has. `shards` as in PrepareRequest.
ClusterShape ShapeOf(const Roster& roster,
                     const google::protobuf::RepeatedPtrField<ShardOwners>& shards);

}  // namespace waferstream
