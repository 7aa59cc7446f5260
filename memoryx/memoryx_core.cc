#include "memoryx/memoryx_core.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {

absl::StatusOr<std::unique_ptr<MemoryxCore>> MemoryxCore::Create(
    const Plan& plan, const MemoryxPlace& place, TileStore store,
    std::unique_ptr<CheckpointSink> sink) {
  std::unique_ptr<MemoryxCore> core(new MemoryxCore(plan, place, std::move(store)));
  if (!plan.is_generation()) {
    ASSIGN_OR_RETURN(core->gradients_,
                     GradientSum::Create(plan, place, core->store_, core->lanes_, core->traffic_));
  }
  core->updates_ =
      std::make_unique<TileUpdates>(plan, place.start_step, core->store_, core->gradients_.get());
  ASSIGN_OR_RETURN(core->sender_, TileSender::Create(plan, place, core->store_, *core->updates_,
                                                     core->lanes_, core->traffic_));
  if (!plan.is_generation()) {
    core->copier_ = std::make_unique<CheckpointCopier>(plan, core->store_, *core->updates_,
                                                       core->lanes_, std::move(sink));
  }
  return core;
}

MemoryxCore::MemoryxCore(const Plan& plan, const MemoryxPlace& place, TileStore store)
    : plan_(plan), start_step_(place.start_step), store_(std::move(store)) {}

size_t MemoryxCore::resident_bytes() const {
  return store_.bytes() + sender_->bytes() + (gradients_ ? gradients_->bytes() : 0);
}

void MemoryxCore::Start(Turn& turn) {
  if (gradients_) gradients_->Start(turn);
  ReportGradients(turn);  // a process without tiles has nothing to wait for
}

absl::StatusOr<std::span<std::byte>> MemoryxCore::BufferFor(ChannelId channel,
                                                            const FrameHeader& header) {
  if (!gradients_) return absl::InvalidArgumentError("a generation job has no gradients");
  ASSIGN_OR_RETURN(const std::span<std::byte> buffer, gradients_->BufferFor(channel, header));
  const int local = store_.LocalOf(static_cast<int>(header.tile));
  if (header.step != updates_->committed() || updates_->version(local) != header.step) {
    return absl::InvalidArgumentError(
        absl::StrCat("got ", Describe(header), " before its weights were sent"));
  }
  return buffer;
}

absl::Status MemoryxCore::OnFrame(ChannelId channel, const FrameHeader&, Turn& turn) {
  gradients_->OnFrame(channel, turn);
  return absl::OkStatus();
}

void MemoryxCore::OnCredit(ChannelId channel, FrameKind kind, const Credit& credit, Turn& turn) {
  WS_CHECK(kind == FrameKind::kTile);
  sender_->OnCredit(channel, credit);
  Pump(turn);
}

void MemoryxCore::OnSent(uint64_t token, Turn& turn) {
  sender_->OnSent(token);
  Pump(turn);
}

absl::Status MemoryxCore::OnComputeDone(uint64_t id, const absl::Status& status, Turn& turn) {
  RETURN_IF_ERROR(lanes_.OnDone(id, status, turn));
  ReportGradients(turn);
  Pump(turn);
  return absl::OkStatus();
}

absl::Status MemoryxCore::OnCommit(const CommitRequest& request, Turn& turn) {
  const uint64_t committed = updates_->committed();
  if (request.step() + 1 == committed && committed > start_step_) return absl::OkStatus();
  if (!gradients_ || request.step() != committed || !gradients_->complete()) {
    return absl::FailedPreconditionError(absl::StrCat("commit of step ", request.step(),
                                                      ", but the gradients of step ", committed,
                                                      " are awaited"));
  }
  updates_->Commit({request.step(), request.clip_factor(), request.learning_rate()});
  gradients_->BeginStep();
  reported_ = false;
  if (plan_.CheckpointDue(committed + 1)) copier_->Add(committed + 1);
  ReportGradients(turn);
  Pump(turn);
  return absl::OkStatus();
}

void MemoryxCore::Pump(Turn& turn) {
  sender_->Pump(turn);
  if (copier_) copier_->Pump(turn);
}

void MemoryxCore::ReportGradients(Turn& turn) {
  if (!gradients_ || reported_ || !gradients_->complete()) return;
  if (updates_->committed() >= plan_.job.training().steps()) return;  // the job is done
  reported_ = true;
  traffic_.set_busy_seconds(lanes_.busy_seconds());
  ReportAction action;
  GradientsReady* ready = action.report.mutable_gradients_ready();
  ready->set_step(updates_->committed());
  ready->mutable_tile()->Add(store_.tiles().begin(), store_.tiles().end());
  const std::vector<double>& sums = gradients_->square_sums();
  ready->mutable_square_sum()->Add(sums.begin(), sums.end());
  *ready->mutable_traffic() = traffic_;
  turn.actions.push_back(std::move(action));
}

}  // namespace waferstream
