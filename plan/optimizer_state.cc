#include "plan/optimizer_state.h"

#include <algorithm>

#include "base/status.h"
#include "plan/job_kind.h"
#include "plan/plan.h"

namespace waferstream {

std::vector<OptimizerState> StatesOf(const Optimizer& optimizer, const Parameter& parameter) {
  if (!parameter.trained) return {};
  const std::vector<OptimizerState> adamw = {{.name = "exp_avg"}, {.name = "exp_avg_sq"}};
  switch (optimizer.kind_case()) {
    case Optimizer::kAdamw:
      return adamw;
    case Optimizer::kSgd:
      if (optimizer.sgd().momentum() > 0) return {{.name = "momentum"}};
      return {};
    case Optimizer::kLion:
      return {{.name = "exp_avg"}};
    case Optimizer::kAdafactor:
      if (!parameter.two_dimensional) return {{.name = "variance"}};
      return {{.name = "row_var", .per_column = false}, {.name = "col_var", .per_row = false}};
    case Optimizer::kMuon:
      if (parameter.orthogonal) return {{.name = "momentum"}};
      return adamw;
    case Optimizer::KIND_NOT_SET:
      return {};
  }
  WS_CHECK(false && "unknown optimizer");
}

StateTable StatesOf(const Optimizer& optimizer, const std::vector<Parameter>& parameters) {
  StateTable states;
  states.reserve(parameters.size());
  for (const Parameter& p : parameters) states.push_back(StatesOf(optimizer, p));
  return states;
}

StateTable StatesOf(const Plan& plan) {
  if (!Trains(plan.job)) return StateTable(plan.parameters.size());
  return StatesOf(plan.job.training().optimizer(), plan.parameters);
}

bool KeepsAny(const StateTable& states) {
  return std::any_of(states.begin(), states.end(), [](const auto& list) { return !list.empty(); });
}

// The matrix twice, and twice what it is times its transpose.
int64_t WorkspaceElements(const Parameter& p) {
  const int64_t least = std::min(p.rows, p.cols);
  return p.orthogonal ? 2 * p.rows * p.cols + 2 * least * least : 0;
}

int64_t WorkspaceElements(const Plan& plan, int shard) {
  int64_t most = 0;
  for (const Tile& tile : plan.tiles) {
    if (tile.shard != shard) continue;
    most = std::max(most, WorkspaceElements(plan.parameters[tile.parameter]));
  }
  return most;
}

int64_t ElementsOf(const OptimizerState& state, const Tile& tile) {
  const int64_t columns = state.per_column ? tile.elements / tile.rows : 1;
  return (state.per_row ? tile.rows : 1) * columns;
}

Parameter ShapeOf(const OptimizerState& state, const Parameter& parameter) {
  if (state.per_row && state.per_column) return parameter;
  Parameter shape;
  shape.rows = state.per_row ? parameter.rows : parameter.tile_count;
  shape.cols = state.per_column ? parameter.cols : 1;
  shape.two_dimensional = state.per_column && parameter.two_dimensional;
  return shape;
}

RowSpan RowsOf(const OptimizerState& state, const Tile& tile) {
  if (state.per_row) return {tile.first_row, tile.rows};
  return {tile.index, 1};
}

}  // namespace waferstream
