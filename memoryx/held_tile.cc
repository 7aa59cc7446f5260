#include "memoryx/held_tile.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "base/memory_sum.h"
#include "base/status.h"
#include "core/fault.h"
#include "memoryx/tile_math.h"
#include "plan/kernel_workspace.h"

namespace waferstream {
namespace {

constexpr size_t kLineBytes = 64;

constexpr size_t kSummedElements = 4096;  // of one checksum
// What is updated before it is summed anew: little enough to be in a core's first cache still.
constexpr size_t kUpdatedElements = 512;
static_assert(kPieceElements % kSummedElements == 0);

// Calls run(at, count) for the summed parts of elements [first, first + count).
template <typename Run>
void ForSummed(size_t first, size_t count, Run run) {
  for (size_t at = first; at < first + count; at += kSummedElements) {
    run(at, std::min(kSummedElements, first + count - at));
  }
}

// Where the states begin, and, last, where they end.
std::vector<size_t> OffsetsOf(const Tile& tile, std::span<const OptimizerState> states) {
  std::vector<size_t> offsets;
  size_t end = tile.elements * sizeof(float);
  for (const OptimizerState& state : states) {
    offsets.push_back(RoundUp(end, sizeof(float)));
    end = offsets.back() + ElementsOf(state, tile) * BytesOf(state.dtype);
  }
  offsets.push_back(end);
  return offsets;
}

}  // namespace

size_t HeldTile::Bytes(const Tile& tile, std::span<const OptimizerState> states) {
  return RoundUp(OffsetsOf(tile, states).back(), kLineBytes);
}

HeldTile::HeldTile(const Plan& plan, int tile, std::span<const OptimizerState> states,
                   std::byte* memory, MemoryFaults* faults, float* workspace)
    : tile_(tile),
      shard_(plan.tiles[tile].shard),
      parameter_(plan.parameters[plan.tiles[tile].parameter].name),
      decayed_(plan.parameters[plan.tiles[tile].parameter].decayed),
      trained_(plan.parameters[plan.tiles[tile].parameter].trained),
      two_dimensional_(plan.parameters[plan.tiles[tile].parameter].two_dimensional),
      orthogonal_(plan.parameters[plan.tiles[tile].parameter].orthogonal),
      rows_(plan.tiles[tile].rows),
      elements_(plan.tiles[tile].elements),
      faults_(faults),
      workspace_(workspace) {
  WS_CHECK(states.size() <= kStatesMax);
  const Tile& shape = plan.tiles[tile];
  const std::vector<size_t> offsets = OffsetsOf(shape, states);
  arrays_.push_back({memory, elements_, sizeof(float), {}});
  for (size_t s = 0; s < states.size(); ++s) {
    states_.push_back(memory + offsets[s]);
    arrays_.push_back({states_[s],
                       static_cast<size_t>(ElementsOf(states[s], shape)),
                       BytesOf(states[s].dtype),
                       {}});
  }
  for (Array& array : arrays_) {
    array.checksums.resize((array.elements + kSummedElements - 1) / kSummedElements);
  }
}

std::span<std::byte> HeldTile::bytes() const {
  const Array& last = arrays_.back();
  return {arrays_[0].data, last.data + last.elements * last.element_bytes};
}

uint64_t HeldTile::Array::SumOf(size_t at, size_t count) const {
  return MemorySum(data + at * element_bytes, count * element_bytes);
}

bool HeldTile::Array::IsSound(size_t at, size_t count) const {
  return checksums[at / kSummedElements] == SumOf(at, count);
}

void HeldTile::Array::Stamp(size_t at, size_t count) {
  checksums[at / kSummedElements] = SumOf(at, count);
}

void HeldTile::Stamp(uint64_t version, Parallel& parallel) {
  StampArrays(parallel);
  Reached(version);
}

void HeldTile::StampArrays(Parallel& parallel) {
  for (Array& array : arrays_) {
    ForPieces(parallel, array.elements, [&](size_t first, size_t n) {
      ForSummed(first, n, [&](size_t at, size_t count) { array.Stamp(at, count); });
    });
  }
}

void HeldTile::Forget() {
  version_ = kAbsent;
  damaged_ = false;
  DropGradient();
}

void HeldTile::Reached(uint64_t version) {
  version_ = version;
  if (faults_ != nullptr) faults_->OnWritten(tile_, version_, bytes());
}

absl::Status HeldTile::CheckArrays(size_t count, Parallel& parallel) {
  WS_CHECK(version_ != kAbsent);
  std::atomic<bool> sound{true};
  for (const Array& array : std::span(arrays_).first(count)) {
    ForPieces(parallel, array.elements, [&](size_t first, size_t n) {
      ForSummed(first, n, [&](size_t at, size_t part) {
        if (!array.IsSound(at, part)) sound = false;
      });
    });
  }
  return sound ? absl::OkStatus() : Damaged();
}

void HeldTile::SetGradient(uint64_t step, const float* total) {
  gradient_ = total;
  gradient_step_ = step;
}

absl::Status HeldTile::Update(const Optimizer& optimizer, const StepUpdate& update,
                              Parallel& parallel) {
  WS_CHECK(version_ == update.step && HasGradient(update.step));
  if (trained_ && IsElementwise(optimizer, orthogonal_)) {
    RETURN_IF_ERROR(UpdatePieces(optimizer, update, parallel));
  } else if (trained_) {
    RETURN_IF_ERROR(UpdateWhole(optimizer, update, parallel));
  }
  Reached(version_ + 1);
  return absl::OkStatus();
}

absl::Status HeldTile::UpdateWhole(const Optimizer& optimizer, const StepUpdate& update,
                                   Parallel& parallel) {
  WS_CHECK(!orthogonal_ || workspace_ != nullptr);
  RETURN_IF_ERROR(Check(parallel));
  ApplyUpdate(optimizer, update,
              {.elements = elements_,
               .decayed = decayed_,
               .gradient = gradient_,
               .weights = weights(),
               .states = states_,
               .rows = rows_,
               .two_dimensional = two_dimensional_,
               .orthogonal = orthogonal_,
               .workspace = workspace_},
              parallel);
  StampArrays(parallel);
  return absl::OkStatus();
}

absl::Status HeldTile::UpdatePieces(const Optimizer& optimizer, const StepUpdate& update,
                                    Parallel& parallel) {
  // The same parts of all arrays go together.
  for (const Array& array : arrays_) {
    WS_CHECK(array.elements == elements_ && array.element_bytes == sizeof(float));
  }
  const ElementwiseRule rule(optimizer, update, decayed_);
  std::atomic<bool> sound{true};
  ForPieces(parallel, elements_, [&](size_t first, size_t n) {
    ForSummed(first, n, [&](size_t at, size_t count) {
      if (!UpdatePart(rule, at, count)) sound = false;
    });
  });
  return sound ? absl::OkStatus() : Damaged();
}

bool HeldTile::UpdatePart(const ElementwiseRule& rule, size_t first, size_t count) {
  const TileArrays tile = {
      .elements = elements_, .gradient = gradient_, .weights = weights(), .states = states_};
  std::array<MemorySums, 1 + kStatesMax> before, after;
  for (size_t at = first; at < first + count; at += kUpdatedElements) {
    const size_t n = std::min(kUpdatedElements, first + count - at);
    std::array<std::byte*, kStatesMax> states;
    rule.Apply(Part(tile, at, n, states), std::span(before).first(arrays_.size()));
    for (size_t a = 0; a < arrays_.size(); ++a) {
      after[a].Add(arrays_[a].data + at * sizeof(float), n * sizeof(float));
    }
  }
  bool sound = true;
  for (size_t a = 0; a < arrays_.size(); ++a) {
    uint64_t& checksum = arrays_[a].checksums[first / kSummedElements];
    sound = sound && checksum == before[a].Finish(count * sizeof(float));
    checksum = after[a].Finish(count * sizeof(float));
  }
  return sound;
}

absl::Status HeldTile::Damaged() {
  damaged_ = true;
  NodeFault fault;
  fault.set_message(absl::StrCat("tile ", tile_, " (", parameter_, ") of shard ", shard_,
                                 " is damaged in memory: the checksum of step ", version_,
                                 " does not match"));
  fault.add_damaged_shards(static_cast<uint32_t>(shard_));
  return FaultStatus(absl::StatusCode::kDataLoss, fault);
}

}  // namespace waferstream
