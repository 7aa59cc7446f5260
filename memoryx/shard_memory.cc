#include "memoryx/shard_memory.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "plan/optimizer_state.h"

namespace waferstream {

absl::StatusOr<std::shared_ptr<ShardMemory>> ShardMemory::Create(const Plan& plan, int shard,
                                                                 MemoryFaults* faults) {
  const StateTable states = StatesOf(plan);
  size_t bytes = 0;
  for (const Tile& tile : plan.tiles) {
    if (tile.shard == shard) bytes += HeldTile::Bytes(tile, states[tile.parameter]);
  }
  const size_t workspace_bytes = WorkspaceElements(plan, shard) * sizeof(float);
  ASSIGN_OR_RETURN(Arena memory,
                   Arena::Create(bytes + workspace_bytes, {.offset = 0, .bytes = bytes}));
  std::shared_ptr<ShardMemory> created(new ShardMemory(shard, std::move(memory)));
  auto* const workspace =
      reinterpret_cast<float*>(created->memory_.Claim(bytes, workspace_bytes).data());
  size_t offset = 0;
  for (size_t t = 0; t < plan.tiles.size(); ++t) {
    if (plan.tiles[t].shard != shard) continue;
    const std::vector<OptimizerState>& kept = states[plan.tiles[t].parameter];
    const size_t tile_bytes = HeldTile::Bytes(plan.tiles[t], kept);
    std::byte* const at = created->memory_.Claim(offset, tile_bytes).data();
    created->tiles_.emplace_back(plan, static_cast<int>(t), kept, at, faults, workspace);
    offset += tile_bytes;
  }
  return created;
}

bool ShardMemory::IsWhole() const {
  return std::all_of(tiles_.begin(), tiles_.end(), [](const HeldTile& tile) {
    return tile.version() != HeldTile::kAbsent && !tile.damaged();
  });
}

void ShardMemory::BeginAt(uint64_t committed) {
  committed_ = committed;
  update_.reset();
}

void ShardMemory::Commit(const StepUpdate& update) {
  WS_CHECK(update.step == committed_);
  update_ = update;
  ++committed_;
}

absl::Status ShardMemory::MakeGradientBuffers(const Plan& plan, int buffers) {
  size_t floats = 0;
  std::vector<size_t> first;
  for (HeldTile& tile : tiles_) {
    tile.DropGradient();
    const Tile& shape = plan.tiles[tile.tile()];
    first.push_back(floats);
    floats += PaddedElements(shape) * plan.parameters[shape.parameter].contributions * buffers;
  }
  if (!gradients_ || gradients_->size() != floats * sizeof(float)) {
    gradients_.reset();  // first: there may not be room for both
    ASSIGN_OR_RETURN(gradients_, Arena::Create(floats * sizeof(float)));
  }
  auto* const memory = reinterpret_cast<float*>(gradients_->Claim(0, gradients_->size()).data());
  gradient_buffers_.clear();
  for (const size_t offset : first) gradient_buffers_.push_back(memory + offset);
  return absl::OkStatus();
}

}  // namespace waferstream
