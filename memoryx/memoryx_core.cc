#include "memoryx/memoryx_core.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mark.h"
#include "base/status.h"
#include "plan/job_kind.h"
#include "plan/shard_squares.h"

namespace waferstream {

absl::StatusOr<std::unique_ptr<MemoryxCore>> MemoryxCore::Create(
    const Plan& plan, const MemoryxPlace& place, TileStore store,
    std::unique_ptr<CheckpointSink> sink) {
  std::unique_ptr<MemoryxCore> core(new MemoryxCore(plan, place, std::move(store)));
  core->updates_ = std::make_unique<TileUpdates>(plan, place.start_step, core->store_);
  ASSIGN_OR_RETURN(core->sender_, TileSender::Create(plan, place, core->store_, *core->updates_,
                                                     core->lanes_, core->traffic_));
  if (!Trains(plan.job)) return core;
  ASSIGN_OR_RETURN(core->gradients_,
                   GradientSum::Create(plan, place, core->store_, core->lanes_, core->traffic_));
  core->untrained_ = std::make_unique<UntrainedCheck>(plan, core->store_, *core->updates_,
                                                      *core->sender_, core->lanes_);
  core->checkpoints_ = std::make_unique<CheckpointCopier>(plan, core->store_, *core->updates_,
                                                          core->lanes_, std::move(sink));
  core->secondary_ =
      std::make_unique<SecondaryUpdates>(core->store_, *core->updates_, core->lanes_);
  core->copier_ = std::make_unique<ShardCopier>(plan, place, core->store_, *core->updates_,
                                                *core->sender_, core->lanes_);
  core->filler_ =
      std::make_unique<ShardFiller>(plan, place, core->store_, *core->updates_, core->lanes_);
  return core;
}

MemoryxCore::MemoryxCore(const Plan& plan, const MemoryxPlace& place, TileStore store)
    : plan_(plan), place_(place), store_(std::move(store)) {}

size_t MemoryxCore::resident_bytes() const {
  return store_.bytes() + sender_->bytes() + (gradients_ ? gradients_->bytes() : 0);
}

void MemoryxCore::Start(Turn& turn) {
  if (gradients_) {
    gradients_->Start(turn);
    filler_->Start(turn);
    if (place_.checkpoint_now) checkpoints_->Add(place_.start_step);
  }
  ReportGradients(turn);  // a process without tiles has nothing to wait for
  Pump(turn);
}

// -- frames ------------------------------------------------------------------------------------

absl::StatusOr<std::span<std::byte>> MemoryxCore::BufferFor(ChannelId channel,
                                                            const FrameHeader& header) {
  if (!gradients_) return absl::InvalidArgumentError("a job that does not train has no gradients");
  if (IsCopy(channel)) {
    ASSIGN_OR_RETURN(const std::span<std::byte> buffer, filler_->BufferFor(channel, header));
    RETURN_IF_ERROR(CheckCopy(header));
    return buffer;
  }
  ASSIGN_OR_RETURN(const std::span<std::byte> buffer, gradients_->BufferFor(channel, header));
  RETURN_IF_ERROR(CheckTimely(header));
  return buffer;
}

absl::Status MemoryxCore::CheckTimely(const FrameHeader& gradient) const {
  const int local = store_.LocalOf(static_cast<int>(gradient.tile));
  const bool primary = store_.IsPrimary(local);
  const bool streamed = !primary || updates_->version(local) == gradient.step;
  if (gradient.step == updates_->committed() && streamed) return absl::OkStatus();
  // The primary has heard the commit that is still on its way to this process.
  if (gradient.step == updates_->committed() + 1 && !primary && reported_) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("got ", Describe(gradient), " before its weights were sent"));
}

// The primary keeps the tile's version while a copy is on its way (ShardCopier). So its gradients
// here are all of that version, and all of them are here if it has the commit.
absl::Status MemoryxCore::CheckCopy(const FrameHeader& copy) const {
  const uint64_t committed = updates_->committed();
  const int local = store_.LocalOf(static_cast<int>(copy.tile));
  if (copy.step + 1 == committed && gradients_->HasBlocks(local)) {
    return absl::InvalidArgumentError(absl::StrCat("got a copy of tile ", copy.tile, " of step ",
                                                   copy.step, " after a gradient of step ",
                                                   committed));
  }
  if (copy.step == committed + 1 && !reported_) {
    return absl::InvalidArgumentError(absl::StrCat("got a copy of tile ", copy.tile, " of step ",
                                                   copy.step, " before all gradients of step ",
                                                   committed));
  }
  return absl::OkStatus();
}

absl::Status MemoryxCore::OnFrame(ChannelId channel, const FrameHeader& header,
                                  const std::byte* payload, Turn& turn) {
  if (IsCopy(channel)) {
    const int local = filler_->OnFrame(channel, turn);
    if (updates_->StateOf(local) == TileUpdates::State::kDue) {
      WS_MARK("memoryx: a copy whose update is due");
      secondary_->Add(local);
    } else if (updates_->version(local) > updates_->committed()) {
      WS_MARK("memoryx: a copy ahead of its commit");
    }
    Pump(turn);
    return absl::OkStatus();
  }
  const GradientSum::Arrival arrival = gradients_->OnFrame(channel, header, payload);
  if (arrival.header.step > updates_->committed()) {
    WS_MARK("memoryx: a gradient ahead of its commit");
    early_.push_back(arrival);
  } else {
    Land(arrival, turn);
  }
  return absl::OkStatus();
}

// The block may overwrite the gradient that a due update still needs: the update goes first.
void MemoryxCore::Land(const GradientSum::Arrival& arrival, Turn& turn) {
  const int local = store_.LocalOf(static_cast<int>(arrival.header.tile));
  if (updates_->StateOf(local) == TileUpdates::State::kDue) {
    updates_->Run(
        local, lanes_, [] {}, turn);
  }
  gradients_->Land(arrival, turn);
}

// -- the other events --------------------------------------------------------------------------

void MemoryxCore::OnCredit(ChannelId channel, FrameKind kind, const Credit& credit, Turn& turn) {
  WS_CHECK(kind == FrameKind::kTile);
  if (IsCopy(channel)) {
    copier_->OnCredit(channel, credit);
  } else {
    sender_->OnCredit(channel, credit);
  }
  Pump(turn);
}

void MemoryxCore::OnSent(uint64_t token, Turn& turn) {
  if (ShardCopier::IsCopy(token)) {
    copier_->OnSent(token);
  } else {
    sender_->OnSent(token);
  }
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
  if (request.step() + 1 == committed && committed > place_.start_step) return absl::OkStatus();
  if (!gradients_ || request.step() != committed || !StepIsDone()) {
    return absl::FailedPreconditionError(absl::StrCat("commit of step ", request.step(),
                                                      ", but the gradients of step ", committed,
                                                      " are awaited"));
  }
  updates_->Commit({request.step(), request.clip_factor(), request.learning_rate()});
  gradients_->BeginStep();
  untrained_->BeginStep();
  reported_ = false;
  secondary_->AddAll();
  if (plan_.CheckpointDue(committed + 1)) checkpoints_->Add(committed + 1);
  for (const GradientSum::Arrival& arrival : std::exchange(early_, {})) Land(arrival, turn);
  ReportGradients(turn);
  Pump(turn);
  return absl::OkStatus();
}

void MemoryxCore::Pump(Turn& turn) {
  sender_->Pump(turn);
  if (!gradients_) return;
  untrained_->Pump(turn);
  checkpoints_->Pump(turn);
  copier_->Pump(turn);
  secondary_->Pump(turn);  // last: gives way to all others
}

void MemoryxCore::ReportGradients(Turn& turn) {
  if (!gradients_ || reported_ || !StepIsDone()) return;
  if (updates_->committed() >= plan_.steps()) return;  // the job is done
  reported_ = true;
  traffic_.set_busy_seconds(lanes_.busy_seconds());
  ReportAction action;
  GradientsReady* ready = action.report.mutable_gradients_ready();
  ready->set_step(updates_->committed());
  for (ShardSquares& squares : SquaresByShard(plan_, store_.tiles(), gradients_->square_sums())) {
    *ready->add_shards() = std::move(squares);
  }
  *ready->mutable_traffic() = traffic_;
  turn.actions.push_back(std::move(action));
}

}  // namespace waferstream
