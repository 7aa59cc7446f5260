// What an optimizer keeps of a parameter beside its weights, tile by tile: the one description from
// which MemoryX's memory, copies of shards, checkpoints and the plan's costs follow. An optimizer
// of another kind is another list here, and another rule in memoryx/optimizer_rule.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "plan/model.h"
#include "plan/partition.h"
#include "proto/job.pb.h"

namespace waferstream {

struct Plan;

// One array. A tile's has a row for each row of the tile, or one; as many columns as the tile, or
// one: the tile's own shape (moments), its sums of rows or of columns, or a number. A parameter's
// is those of its tiles, one below the other.
struct OptimizerState {
  std::string name;  // before the tensor's in checkpoints: "exp_avg"
  Dtype dtype = Dtype::kF32;
  bool per_row = true;
  bool per_column = true;
};

// Lists of all parameters, by index.
using StateTable = std::vector<std::vector<OptimizerState>>;

// In the order in which the optimizer's rule takes them. Nothing of what is not trained.
std::vector<OptimizerState> StatesOf(const Optimizer& optimizer, const Parameter& parameter);
StateTable StatesOf(const Optimizer& optimizer, const std::vector<Parameter>& parameters);
// Those of the plan's parameters; a job that does not train keeps none.
StateTable StatesOf(const Plan& plan);

// Whether anything is kept.
bool KeepsAny(const StateTable& states);

// fp32 numbers that an update of the parameter needs beside its arrays; MemoryX has room for the
// most that any tile of a shard needs.
int64_t WorkspaceElements(const Parameter& parameter);
// Of the tiles of one shard.
int64_t WorkspaceElements(const Plan& plan, int shard);

// Elements of a tile's array.
int64_t ElementsOf(const OptimizerState& state, const Tile& tile);

// A parameter's array, as files hold a parameter: its shape there, and whether it is transposed.
// `parameter` is cut into tiles.
Parameter ShapeOf(const OptimizerState& state, const Parameter& parameter);
// The rows of it that are the tile's.
RowSpan RowsOf(const OptimizerState& state, const Tile& tile);

}  // namespace waferstream
