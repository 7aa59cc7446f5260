// One tile in a MemoryX process's DRAM: weights and optimizer state, and all that is known of them.
//
// The version, the checksums and the gradient's place are written by the lane work that makes them
// true, as its last act. So they are true of the bytes whenever no lane works, also after an epoch
// that was cut short between two pieces of work; that is what the next epoch builds on.
//
// Bytes at rest have a checksum for every part of every array, taken when they were last written.
// An update checks each part while it changes it; one that needs the tile whole checks all of it
// first.
//
// Invariant: version() == v, HasGradient(v): the tile may be updated to v + 1, at any time.
//
// A tile that is not trained has every version, too, with the same bytes.
//
// Threads: one lane at a time may write; who may is the core's business (TileUpdates). Checks only
// read, and may run beside each other. Danger: a tile found damaged is torn or wrong for good.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/parallel.h"
#include "memoryx/memory_faults.h"
#include "memoryx/optimizer_rule.h"
#include "plan/optimizer_state.h"
#include "plan/plan.h"

namespace waferstream {

class HeldTile {
 public:
  static constexpr uint64_t kAbsent = ~uint64_t{0};  // the version of a tile not yet filled

  // Bytes that a tile with `states` occupies, so that no two tiles share a cache line.
  static size_t Bytes(const Tile& tile, std::span<const OptimizerState> states);

  // `memory`: Bytes() of them, zero, aligned as floats are. `workspace`: WorkspaceElements of the
  // tile's parameter, which other tiles may use too; null: it needs none. All outlive the tile;
  // `faults` may be null.
  HeldTile(const Plan& plan, int tile, std::span<const OptimizerState> states, std::byte* memory,
           MemoryFaults* faults = nullptr, float* workspace = nullptr);

  int tile() const { return tile_; }
  size_t elements() const { return elements_; }
  float* weights() const { return reinterpret_cast<float*>(arrays_[0].data); }
  // One array for each optimizer state.
  std::span<std::byte* const> states() const { return states_; }
  // Weights and states, one array after the other, each from the next multiple of 4 bytes on.
  std::span<std::byte> bytes() const;

  // The number of steps whose update the bytes have, or kAbsent.
  uint64_t version() const { return version_; }
  bool damaged() const { return damaged_; }

  // The bytes are nobody's: the tile is absent, and will be filled.
  void Forget();

  // The bytes are right, at `version`: takes their checksums.
  void Stamp(uint64_t version, Parallel& parallel);
  // DATA_LOSS, carrying a NodeFault (core/fault.h): the bytes are not those that were written.
  absl::Status Check(Parallel& parallel) { return CheckArrays(arrays_.size(), parallel); }
  absl::Status CheckWeights(Parallel& parallel) { return CheckArrays(1, parallel); }

  // `total`: the whole, unclipped gradient of `step`, until the next step's begins to land.
  void SetGradient(uint64_t step, const float* total);
  void DropGradient() { gradient_step_ = kAbsent; }
  // Or none is needed, as the tile is not trained.
  bool HasGradient(uint64_t step) const { return !trained_ || gradient_step_ == step; }
  // Whether an update uses the workspace: no two tiles that share it are updated at a time.
  bool NeedsWorkspace() const { return orthogonal_; }
  // From version update.step to the next, with the gradient of that step. Errors as Check().
  absl::Status Update(const Optimizer& optimizer, const StepUpdate& update, Parallel& parallel);

 private:
  struct Array {
    std::byte* data;
    size_t elements;
    size_t element_bytes;
    std::vector<uint64_t> checksums;  // by summed part

    // Of the part that begins at element `at`.
    uint64_t SumOf(size_t at, size_t count) const;
    bool IsSound(size_t at, size_t count) const;
    void Stamp(size_t at, size_t count);
  };

  // Of the first `count` arrays.
  absl::Status CheckArrays(size_t count, Parallel& parallel);
  // Part by part, or all of it.
  absl::Status UpdatePieces(const Optimizer& optimizer, const StepUpdate& update,
                            Parallel& parallel);
  // False: it was damaged, and now is in another way.
  bool UpdatePart(const ElementwiseRule& rule, size_t first, size_t count);
  absl::Status UpdateWhole(const Optimizer& optimizer, const StepUpdate& update,
                           Parallel& parallel);
  void StampArrays(Parallel& parallel);
  void Reached(uint64_t version);
  absl::Status Damaged();

  const int tile_;
  const int shard_;
  const std::string parameter_;
  const bool decayed_;
  const bool trained_;
  const bool two_dimensional_;
  const bool orthogonal_;
  const size_t rows_;
  const size_t elements_;
  MemoryFaults* const faults_;
  float* const workspace_;
  std::vector<Array> arrays_;  // weights, then states
  std::vector<std::byte*> states_;
  uint64_t version_ = kAbsent;
  const float* gradient_ = nullptr;
  uint64_t gradient_step_ = kAbsent;
  std::atomic<bool> damaged_{false};
};

}  // namespace waferstream
