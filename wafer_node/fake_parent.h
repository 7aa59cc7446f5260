// A scripted neighbour for tests of the wafer core: streams weights against the credit that the
// core grants, takes its gradients against credit of its own, runs its computations at once, and
// keeps everything that comes out. Time advances by one second for every event.
#pragma once

#include <compare>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/fault_spec.h"
#include "base/parallel.h"
#include "plan/canonical_sum.h"
#include "plan/pass.h"
#include "wafer_node/wafer_core.h"

namespace waferstream {

// By parameter, as in the plan: fp32 [rows, cols].
using TestWeights = std::vector<std::vector<float>>;

// Normal values of some spread, and norm gains near 1, so that everything matters.
TestWeights MakeWeights(const Plan& plan, uint64_t seed);

// Sequence n has tokens (7 n^2 + 3 t n + 5 t + t^2) mod vocab; validation is shifted by one.
std::vector<int32_t> TestSequence(const Plan& plan, uint64_t n, bool validation);
// Fails after `readable` sequences, with "train.bin: was changed".
std::unique_ptr<TokenSource> MakeTestTokens(const Plan& plan, uint64_t readable = UINT64_MAX);

// Names one block that a wafer sent.
struct BlockKey {
  uint64_t step = 0;
  uint32_t wave = 0;
  int tile = 0;
  int contribution = 0;
  BlockRange range;
  friend auto operator<=>(const BlockKey&, const BlockKey&) = default;
};

class FakeParent {
 public:
  struct Options {
    int wafer = 0;
    int threads = 1;
    // Gradient slots of each class that are open at once on every plane.
    int gradient_slots = 1;
    std::vector<uint32_t> disputed = {};
    bool diagnose = false;
    std::optional<FaultSpec> flip = std::nullopt;  // what the machine does wrong
    // What every computation ends with, when not OK, in place of computing.
    absl::Status compute_status = {};
    // After so many sequences the tokens cannot be read any more.
    uint64_t readable_sequences = UINT64_MAX;
    // Everything that may be in flight is: a tile comes before anything else happens, and what was
    // sent is done with when nothing else can happen.
    bool crowded = false;
  };
  FakeParent(const Plan& plan, const TestWeights& weights, const Options& options);

  // Until nothing moves any more.
  void Run();
  // The two halves of Run(), for tests that look between events.
  void Start();
  // Delivers one thing; false when there is nothing to deliver or the core has failed.
  bool Step();

  // Speaks to `between`, which passes everything on to core(). Before Start().
  void Interpose(RoleCore& between) { driven_ = &between; }

  // Uses no more than `slots` of what the core grants. Before Start().
  void HoldBack(const std::vector<Credit>& slots);

  // What the core must accept next on a plane; nullopt: the job is over, or it granted no slot.
  std::optional<FrameHeader> NextTile(int plane) const;
  // The same without regard to slots; the job must not be over.
  FrameHeader NextInPlan(int plane) const;

  WaferCore& core() { return *core_; }
  // The core's arena, and a page behind it that it has no business with.
  std::span<std::byte> sram() const { return sram_; }
  ChannelId channel(int plane) const { return lanes_[plane].channel; }
  const std::map<BlockKey, std::vector<float>>& blocks() const { return blocks_; }
  const std::vector<NodeReport>& reports() const { return reports_; }
  // When each of them was made.
  const std::vector<double>& report_times_s() const { return report_times_s_; }
  // What OnComputeDone returned, if not OK.
  const absl::Status& failure() const { return failure_; }
  // Whether every tile of the job was delivered and its slot granted again.
  bool AllReturned() const;

 private:
  struct Lane {
    ChannelId channel = 0;
    Credit held_back;
    CreditBalance credit;                    // for tiles
    int outstanding[kSlotClasses] = {0, 0};  // granted, not yet used
    std::optional<Pass> pass;
    size_t position = 0;  // in the pass's stream, of any plane
  };

  void Take(Turn& turn);
  void OnSend(const SendAction& send);
  void OnCompute(const ComputeAction& compute);
  bool Happens(std::deque<std::function<void(Turn&)>>& events, Turn& turn);
  // Delivers the next tile of any plane; false: there is none.
  bool DeliverNext(Turn& turn);
  bool DeliverTile(int plane, Turn& turn);
  void SkipOtherPlanes(Lane& lane, int plane) const;
  Turn NextTurn();

  const Plan& plan_;
  const TestWeights& weights_;
  const Options options_;
  std::unique_ptr<Parallel> parallel_;
  std::span<std::byte> sram_;
  std::unique_ptr<WaferCore> core_;
  RoleCore* driven_ = nullptr;  // core_, or what stands before it
  std::vector<Lane> lanes_;     // by plane
  double now_s_ = 0;
  std::deque<std::function<void(Turn&)>> pending_;  // completions
  std::deque<std::function<void(Turn&)>> late_;     // those of the fabric, when crowded
  std::map<BlockKey, std::vector<float>> blocks_;
  std::vector<NodeReport> reports_;
  std::vector<double> report_times_s_;
  absl::Status failure_;
};

// Every gradient of a step, summed over waves and wafers as the tree does, by (tile, contribution).
std::map<std::pair<int, int>, std::vector<float>> TotalGradients(
    const Plan& plan, const std::vector<const FakeParent*>& parents, uint64_t step);

}  // namespace waferstream
