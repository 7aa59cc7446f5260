// The wafer node's core: follows the program of the plan, pass after pass, as tiles arrive.
//
// One op runs at a time, as one ComputeAction. It starts when all tiles that it needs are here and
// there is room to make its gradients; when it is done, its tiles' slots are granted again, its
// gradients are queued and the next op starts. Everything else follows from (plan, position): which
// micro-batches, which tile comes next, when to report. A wave without micro-batches for this wafer
// consumes the stream and computes nothing. Tokens are read one wave ahead, on the disk lane. A
// micro-batch that is only checked goes through all ops like the others, but its gradients are
// hashed and never leave.
//
// Lifecycle: made for one epoch, Start() once, then events until it is destroyed. Not thread-safe;
// while a computation runs, only it touches activations, staging slots of its op and the tiles that
// it was given, and the core leaves those alone. Danger: the plan must outlive the core.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/arena.h"
#include "core/role_core.h"
#include "plan/pass.h"
#include "plan/plan.h"
#include "wafer_node/address_book.h"
#include "wafer_node/compute_faults.h"
#include "wafer_node/diagnosis.h"
#include "wafer_node/gradient_outbox.h"
#include "wafer_node/op_context.h"
#include "wafer_node/step_clock.h"
#include "wafer_node/tile_inbox.h"
#include "wafer_node/token_feeder.h"
#include "wafer_node/token_picker.h"
#include "wafer_node/wave.h"
#include "wafer_node/wave_hashes.h"

namespace waferstream {

struct WaferCoreOptions {
  int wafer = 0;  // process index in the plan
  uint32_t epoch = 0;
  uint64_t start_step = 0;              // steps already done
  std::vector<uint32_t> disputed = {};  // of start_step: every wafer computes them (plan/verify.h)
  bool diagnose = false;                // report the first number that is not finite
};

class WaferCore final : public RoleCore {
 public:
  // `arena` has at least plan.sram.bytes. `tokens` may be null for a generation, `faults` for a
  // sound machine.
  WaferCore(const Plan& plan, const WaferCoreOptions& options, Arena arena,
            std::unique_ptr<TokenSource> tokens, std::unique_ptr<ComputeFaults> faults = nullptr);

  void Start(Turn& turn) override;
  absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId channel,
                                                 const FrameHeader& header) override;
  absl::Status OnFrame(ChannelId channel, const FrameHeader& header, const std::byte* payload,
                       Turn& turn) override;
  void OnCredit(ChannelId channel, FrameKind kind, const Credit& credit, Turn& turn) override;
  void OnSent(uint64_t token, Turn& turn) override;
  absl::Status OnComputeDone(uint64_t id, const absl::Status& status, Turn& turn) override;

  // Where what is claimed of the arena ends. All is claimed at the beginning, so this is the plan's
  // number; that the ops write to all of it and to nothing else, sram_use_test.cc measures.
  size_t sram_peak_bytes() const { return arena_.peak(); }

 private:
  const std::vector<Op>& Ops() const;
  void BeginPass(Turn& turn);
  // Of the pass, as this wafer has it.
  Wave WaveOf(const Pass& pass) const;
  // Begins to read the next tokens from `from` on, if any pass needs some.
  void ReadAhead(std::optional<Pass> from, Turn& turn);
  // Puts the wave's tokens in place, if they are here, and reads ahead.
  void PlaceTokens(Turn& turn);
  // Runs as many ops as can start now: one, or several that compute nothing.
  void Advance(Turn& turn);
  bool TilesAreHere(const Op& op) const;
  void StartOrWait(const Op& op, Turn& turn);
  void StartOp(const Op& op, Turn& turn);
  const char* NameOf(const Op& op) const { return names_[op.operation].c_str(); }
  void FinishOp(Turn& turn);
  void FinishPass(Turn& turn);

  // Keeps the losses, or the hashes, of the wave for the report.
  void KeepLosses();
  void KeepHashes();
  void ReportStep(Turn& turn);
  void ReportValidation(Turn& turn);
  void ReportToken(Turn& turn);

  const Plan& plan_;
  const WaferCoreOptions options_;
  const std::vector<std::string> names_;  // of the program's operations, for a trace
  Arena arena_;
  const AddressBook at_;
  TileInbox inbox_;
  GradientOutbox outbox_;
  TokenFeeder feeder_;
  TokenPicker picker_;
  StepClock clock_;
  WaveHashes wave_hashes_;
  Diagnosis diagnosis_;
  const std::unique_ptr<ComputeFaults> faults_;
  const OpWatchers watchers_;

  // Position in the job. pass_ is the pass that is computed; nullopt: nothing is left to do.
  std::optional<Pass> pass_;
  size_t op_ = 0;
  Wave wave_;
  bool placed_ = false;  // the wave's tokens are in place, or it has none
  absl::Status fed_;     // an error: the wave has no tokens
  Wave ahead_;           // whose tokens are being read, or were
  bool reading_ = false;
  absl::Status read_;                      // of the last read
  std::optional<uint64_t> running_;        // id of the running computation
  std::optional<double> crowded_since_s_;  // an op waits for room for its gradients

  OpInputs inputs_;  // of the running op
  OpResults results_;
  std::vector<uint32_t> micro_batches_;  // of the step or validation so far,
  std::vector<double> loss_sums_;        // and their losses
  std::vector<MicroBatchHash> hashes_;   // of the step so far
};

}  // namespace waferstream
