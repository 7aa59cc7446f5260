#include "memoryx/held_tile.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status.h"
#include "core/fault.h"
#include "memoryx/tile_math.h"

namespace waferstream {
namespace {

constexpr size_t kStatesMax = 2;  // of any optimizer
constexpr size_t kLineFloats = 16;

}  // namespace

size_t HeldTile::Floats(const Tile& tile, int states) {
  const size_t floats = tile.elements * (1 + states);
  return (floats + kLineFloats - 1) / kLineFloats * kLineFloats;
}

HeldTile::HeldTile(const Plan& plan, int tile, int states, float* memory, MemoryFaults* faults)
    : tile_(tile),
      shard_(plan.tiles[tile].shard),
      parameter_(plan.parameters[plan.tiles[tile].parameter].name),
      decayed_(plan.parameters[plan.tiles[tile].parameter].decayed),
      elements_(plan.tiles[tile].elements),
      faults_(faults) {
  WS_CHECK(states >= 0 && static_cast<size_t>(states) <= kStatesMax);
  for (int array = 0; array <= states; ++array) arrays_.push_back(memory + array * elements_);
  checksums_.resize((elements_ + kPieceElements - 1) / kPieceElements * arrays_.size());
}

std::span<std::byte> HeldTile::bytes() const {
  return std::as_writable_bytes(std::span(arrays_[0], elements_ * arrays_.size()));
}

void HeldTile::StampPiece(size_t at, size_t count) {
  uint64_t* const sums = &checksums_[at / kPieceElements * arrays_.size()];
  for (size_t a = 0; a < arrays_.size(); ++a) {
    sums[a] = Hash64(arrays_[a] + at, count * sizeof(float));
  }
}

bool HeldTile::IsSound(size_t at, size_t count, size_t arrays) const {
  const uint64_t* const sums = &checksums_[at / kPieceElements * arrays_.size()];
  for (size_t a = 0; a < arrays; ++a) {
    if (sums[a] != Hash64(arrays_[a] + at, count * sizeof(float))) return false;
  }
  return true;
}

void HeldTile::Stamp(uint64_t version, Parallel& parallel) {
  ForPieces(parallel, elements_, [&](size_t at, size_t count) { StampPiece(at, count); });
  Reached(version);
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

absl::Status HeldTile::CheckArrays(size_t arrays, Parallel& parallel) {
  WS_CHECK(version_ != kAbsent);
  std::atomic<bool> sound{true};
  ForPieces(parallel, elements_, [&](size_t at, size_t count) {
    if (!IsSound(at, count, arrays)) sound = false;
  });
  return sound ? absl::OkStatus() : Damaged();
}

void HeldTile::SetGradient(uint64_t step, const float* total) {
  gradient_ = total;
  gradient_step_ = step;
}

absl::Status HeldTile::Update(const Optimizer& optimizer, const StepUpdate& update,
                              Parallel& parallel) {
  WS_CHECK(version_ == update.step && HasGradient(update.step));
  std::atomic<bool> sound{true};
  ForPieces(parallel, elements_, [&](size_t at, size_t count) {
    if (!IsSound(at, count, arrays_.size())) {
      sound = false;
      return;
    }
    std::array<float*, kStatesMax> states;
    for (size_t s = 1; s < arrays_.size(); ++s) states[s - 1] = arrays_[s] + at;
    Serial serial;
    ApplyUpdate(optimizer, update,
                {count, decayed_, gradient_ + at, arrays_[0] + at,
                 std::span(states.data(), arrays_.size() - 1)},
                serial);
    StampPiece(at, count);
  });
  if (!sound) return Damaged();
  Reached(version_ + 1);
  return absl::OkStatus();
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
