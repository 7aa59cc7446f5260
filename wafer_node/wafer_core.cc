#include "wafer_node/wafer_core.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "wafer_node/compute_id.h"
#include "wafer_node/op_names.h"
#include "wafer_node/op_work.h"
#include "wafer_node/ops.h"

namespace waferstream {

WaferCore::WaferCore(const Plan& plan, const WaferCoreOptions& options, Arena arena,
                     std::unique_ptr<TokenSource> tokens, std::unique_ptr<ComputeFaults> faults)
    : plan_(plan),
      options_(options),
      names_(OperationNames(plan)),
      arena_(std::move(arena)),
      at_(plan, arena_),
      // A machine that flips bits of its weights has weights of its own.
      inbox_(plan, options.wafer, options.epoch, options.start_step, at_, faults == nullptr),
      outbox_(plan, options.wafer, options.epoch, options.start_step, at_),
      feeder_(plan, std::move(tokens), at_),
      picker_(plan.job.generate()),
      wave_hashes_(plan.resident_max + plan.verify_slots),
      faults_(std::move(faults)),
      watchers_{&wave_hashes_, options.diagnose ? &diagnosis_ : nullptr, faults_.get()},
      pass_(FirstPass(plan, options.start_step)) {
  WS_CHECK(arena_.peak() == plan.sram.bytes);
  results_.picker = &picker_;
}

void WaferCore::Start(Turn& turn) {
  clock_.Restart(turn.now_s);
  inbox_.GrantAll(turn);
  ReadAhead(pass_, turn);
  BeginPass(turn);
  Advance(turn);
}

absl::StatusOr<std::span<std::byte>> WaferCore::BufferFor(ChannelId channel,
                                                          const FrameHeader& header) {
  return inbox_.BufferFor(channel, header);
}

absl::Status WaferCore::OnFrame(ChannelId channel, const FrameHeader& header,
                                const std::byte* payload, Turn& turn) {
  turn.actions.reserve(4);  // at most a return, what was waited for and an op: one allocation
  inbox_.OnFrame(channel, header, payload, turn);
  Advance(turn);
  return absl::OkStatus();
}

void WaferCore::OnCredit(ChannelId channel, FrameKind, const Credit& credit, Turn& turn) {
  outbox_.OnCredit(channel, credit, turn);
}

void WaferCore::OnSent(uint64_t token, Turn& turn) {
  outbox_.OnSent(token);
  Advance(turn);
}

absl::Status WaferCore::OnComputeDone(uint64_t id, const absl::Status& status, Turn& turn) {
  if (id == kReadTokensId) {
    reading_ = false;
    read_ = status;
    if (!placed_) PlaceTokens(turn);
    Advance(turn);
    return absl::OkStatus();
  }
  WS_CHECK(running_ == id);
  RETURN_IF_ERROR(status);
  running_.reset();
  clock_.ComputeEnds(turn.now_s);
  outbox_.Send(Ops()[op_], wave_, results_.untouched, turn);
  FinishOp(turn);
  Advance(turn);
  return absl::OkStatus();
}

const std::vector<Op>& WaferCore::Ops() const {
  switch (pass_->kind) {
    case PassKind::kBackward:
      return plan_.program.backward;
    case PassKind::kGenerate:
      return plan_.program.generate;
    default:
      return plan_.program.forward;
  }
}

Wave WaferCore::WaveOf(const Pass& pass) const {
  const bool first_step = pass.step == options_.start_step;
  return MakeWave(plan_, pass, options_.wafer,
                  first_step ? options_.disputed : std::vector<uint32_t>{});
}

void WaferCore::BeginPass(Turn& turn) {
  op_ = 0;
  if (!pass_.has_value()) return;
  wave_ = WaveOf(*pass_);
  PlaceTokens(turn);
  if (pass_->kind == PassKind::kBackward) wave_hashes_.Restart();
}

void WaferCore::ReadAhead(std::optional<Pass> from, Turn& turn) {
  for (; from.has_value(); from = NextPass(plan_, *from)) {
    ahead_ = WaveOf(*from);
    if (!TokenFeeder::Reads(ahead_)) continue;
    reading_ = true;
    turn.actions.push_back(ComputeAction{Lane::kDisk, kReadTokensId,
                                         [this](Parallel&) { return feeder_.Read(ahead_); },
                                         /*about_ns=*/0, "read tokens"});
    return;
  }
}

void WaferCore::PlaceTokens(Turn& turn) {
  const bool reads = TokenFeeder::Reads(wave_);
  placed_ = !reads || !reading_;
  if (!placed_) return;
  WS_CHECK(!reads || (ahead_.pass.kind == pass_->kind && ahead_.pass.step == pass_->step &&
                      ahead_.pass.wave == pass_->wave));
  fed_ = reads ? read_ : absl::OkStatus();
  feeder_.Place(wave_);
  if (reads) ReadAhead(NextPass(plan_, *pass_), turn);
}

bool WaferCore::TilesAreHere(const Op& op) const {
  return std::all_of(op.needs.begin(), op.needs.end(),
                     [&](int position) { return inbox_.Has(pass_->kind, position); });
}

void WaferCore::Advance(Turn& turn) {
  while (pass_.has_value() && !running_.has_value()) {
    const Op& op = Ops()[op_];
    const bool computes = wave_.resident() > 0;
    if (!TilesAreHere(op) || !placed_) {
      if (computes) clock_.Wait(turn.now_s);
      return;
    }
    if (const auto since_s = clock_.EndWait(turn.now_s)) {
      turn.actions.push_back(WaitedAction{"waited for a tile: ", NameOf(op), *since_s});
    }
    if (computes) return StartOrWait(op, turn);
    FinishOp(turn);
  }
}

void WaferCore::StartOrWait(const Op& op, Turn& turn) {
  if (!outbox_.HasRoom(op, wave_.staging_buffers())) {
    if (!crowded_since_s_.has_value()) crowded_since_s_ = turn.now_s;
    return;
  }
  if (const auto since_s = std::exchange(crowded_since_s_, std::nullopt)) {
    turn.actions.push_back(WaitedAction{"waited to send gradients: ", NameOf(op), *since_s});
  }
  StartOp(op, turn);
}

void WaferCore::StartOp(const Op& op, Turn& turn) {
  inputs_.op = &op;
  inputs_.tiles.clear();
  for (int position : op.needs) inputs_.tiles.push_back(inbox_.Data(pass_->kind, position));
  inputs_.staging = outbox_.Take(op, wave_.staging_buffers());
  results_.untouched.assign(wave_.resident(), false);
  running_ = Encode(ComputeId{pass_->kind, wave_.resident(), static_cast<int>(op_)});
  clock_.ComputeBegins(turn.now_s);
  turn.actions.push_back(
      ComputeAction{Lane::kCompute, *running_,
                    [this](Parallel& parallel) {
                      // A wave without tokens ends with its first op, as an op that fails.
                      RETURN_IF_ERROR(fed_);
                      WS_CHECK(parallel.threads() <= at_.Parts(SramBuffer::kWorkspace));
                      RunOp({plan_, at_, wave_, inputs_, results_, watchers_, parallel});
                      return absl::OkStatus();
                    },
                    AboutNs(plan_, wave_, op), NameOf(op)});
}

void WaferCore::FinishOp(Turn& turn) {
  inbox_.Release(pass_->kind, Ops()[op_].releases, turn);
  if (++op_ == Ops().size()) FinishPass(turn);
}

void WaferCore::FinishPass(Turn& turn) {
  switch (pass_->kind) {
    case PassKind::kForward:
      KeepLosses();
      break;
    case PassKind::kBackward:
      KeepHashes();
      if (static_cast<int>(pass_->wave) + 1 == plan_.waves) ReportStep(turn);
      break;
    case PassKind::kValidation:
      KeepLosses();
      if (static_cast<int>(pass_->wave) + 1 == plan_.validation_waves) ReportValidation(turn);
      break;
    case PassKind::kGenerate:
      if (wave_.resident() > 0) ReportToken(turn);
      break;
  }
  inbox_.EndPass(pass_->kind);
  pass_ = NextPass(plan_, *pass_);
  BeginPass(turn);
}

void WaferCore::KeepLosses() {
  for (int r = 0; r < wave_.leaves.count; ++r) {
    micro_batches_.push_back(static_cast<uint32_t>(wave_.LeafOf(r)));
    loss_sums_.push_back(results_.loss_sums[r]);
  }
}

void WaferCore::KeepHashes() {
  for (int r = 0; r < wave_.resident(); ++r) {
    if (!wave_.hashed[r]) continue;
    MicroBatchHash& hash = hashes_.emplace_back();
    hash.set_micro_batch(static_cast<uint32_t>(wave_.LeafOf(r)));
    hash.set_hash(wave_hashes_.Of(r, results_.loss_sums[r]));
  }
}

void WaferCore::ReportStep(Turn& turn) {
  ReportAction action;
  WaferStep& step = *action.report.mutable_wafer_step();
  const StepTimes times = clock_.Finish(turn.now_s);
  step.set_step(pass_->step);
  step.mutable_micro_batch()->Add(micro_batches_.begin(), micro_batches_.end());
  step.mutable_loss_sum()->Add(loss_sums_.begin(), loss_sums_.end());
  step.mutable_hashes()->Add(hashes_.begin(), hashes_.end());
  if (auto bad = diagnosis_.Take(); bad.has_value()) *step.mutable_non_finite() = *std::move(bad);
  step.set_step_seconds(times.step_s);
  step.set_exposed_seconds(times.exposed_s);
  step.set_compute_seconds(times.compute_s);
  step.set_sram_peak_bytes(arena_.peak());
  step.mutable_traffic()->set_weight_bytes_in(inbox_.bytes_received());
  step.mutable_traffic()->set_gradient_bytes_out(outbox_.bytes());
  step.mutable_traffic()->set_gradient_blocks_out(outbox_.blocks());
  step.mutable_traffic()->set_gradient_adds(outbox_.adds());
  micro_batches_.clear();
  loss_sums_.clear();
  hashes_.clear();
  turn.actions.push_back(std::move(action));
}

void WaferCore::ReportValidation(Turn& turn) {
  ReportAction action;
  WaferValidation& validation = *action.report.mutable_wafer_validation();
  validation.set_step(pass_->step);
  validation.mutable_micro_batch()->Add(micro_batches_.begin(), micro_batches_.end());
  validation.mutable_loss_sum()->Add(loss_sums_.begin(), loss_sums_.end());
  micro_batches_.clear();
  loss_sums_.clear();
  clock_.Restart(turn.now_s);  // a step's time does not include the validation before it
  turn.actions.push_back(std::move(action));
}

void WaferCore::ReportToken(Turn& turn) {
  ReportAction action;
  GeneratedToken& token = *action.report.mutable_generated_token();
  token.set_index(pass_->step);
  token.set_token(static_cast<uint32_t>(results_.picked));
  token.mutable_logits()->Add(results_.logits.begin(), results_.logits.end());
  feeder_.Append(results_.picked);
  turn.actions.push_back(std::move(action));
}

}  // namespace waferstream
