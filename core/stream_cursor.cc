#include "core/stream_cursor.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "plan/job_kind.h"
#include "plan/topology.h"

namespace waferstream {

absl::Status CheckExpected(const FrameHeader& expected, const FrameHeader& got) {
  FrameHeader plain = got;
  plain.protocol = expected.protocol;
  plain.sequence = expected.sequence;
  plain.crc = expected.crc;
  if (Encode(plain) == Encode(expected)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("got ", Describe(got), " of ", got.length,
                                                 " bytes where ", Describe(expected), " of ",
                                                 expected.length, " bytes is due"));
}

absl::Status CheckExpectedBlock(FrameHeader expected, const FrameHeader& got) {
  if (got.length == 0) expected.length = 0;
  return CheckExpected(expected, got);
}

TileCursor::TileCursor(const Plan& plan, int plane, int primary, uint32_t epoch,
                       uint64_t start_step)
    : plan_(&plan), epoch_(epoch), pass_(FirstPass(plan, start_step)) {
  const auto takes_this_way = [&](int tile) {
    return plan.tiles[tile].plane == plane && (primary == kAnyone || plan.Primary(tile) == primary);
  };
  for (const int tile : plan.program.forward_stream) {
    if (takes_this_way(tile)) forward_.push_back(tile);
  }
  for (const int tile : plan.program.backward_stream) {
    if (takes_this_way(tile)) backward_.push_back(tile);
  }
  if (forward_.empty() && backward_.empty()) pass_.reset();
  SkipEmptyPasses();
}

void TileCursor::SkipEmptyPasses() {
  while (pass_ && tiles().empty()) pass_ = NextPass(*plan_, *pass_);
}

FrameHeader TileCursor::Header() const {
  FrameHeader header;
  header.kind = FrameKind::kTile;
  header.dtype = static_cast<uint8_t>(plan_->wire);
  header.pass = static_cast<uint8_t>(pass_->kind);
  header.epoch = epoch_;
  header.step = pass_->step;
  header.wave = pass_->wave;
  header.tile = static_cast<uint32_t>(tile());
  header.length = plan_->TileBytes(tile());
  return header;
}

void TileCursor::Advance() {
  WS_CHECK(pass_);
  if (++position_ < tiles().size()) return;
  position_ = 0;
  pass_ = NextPass(*plan_, *pass_);
  SkipEmptyPasses();
}

GradientCursor::GradientCursor(const Plan& plan, int plane, const Endpoint& down, uint32_t epoch,
                               uint64_t start_step)
    : plan_(&plan), epoch_(epoch) {
  if (!Trains(plan.job)) return;
  for (const GradientItem& item : plan.program.gradient_stream) {
    if (plan.tiles[item.tile].plane == plane) items_.push_back(item);
  }
  bool any = false;
  for (int wave = 0; wave < plan.waves; ++wave) {
    blocks_.push_back(BlocksFrom(plan, down, wave));
    any |= !blocks_.back().empty();
  }
  if (!any || items_.empty()) return;
  const uint64_t items_per_step = items_.size() * blocks_.size();
  item_ = start_step * items_per_step;
  end_ = plan.steps() * items_per_step;
  SkipEmptyWaves();
}

void GradientCursor::SkipEmptyWaves() {
  while (!done() && blocks().empty()) item_ += items_.size();
}

FrameHeader GradientCursor::Header() const {
  const GradientItem& item = items_[item_ % items_.size()];
  FrameHeader header;
  header.kind = FrameKind::kGradient;
  header.dtype = static_cast<uint8_t>(Dtype::kF32);
  header.pass = static_cast<uint8_t>(PassKind::kBackward);
  header.contribution = static_cast<uint8_t>(item.contribution);
  header.range_level = range().level;
  header.range_lo = range().lo;
  header.epoch = epoch_;
  header.step = step();
  header.wave = wave();
  header.tile = static_cast<uint32_t>(item.tile);
  header.length = plan_->GradientBytes(item.tile);
  return header;
}

void GradientCursor::Advance() {
  WS_CHECK(!done());
  if (++block_ < blocks().size()) return;
  block_ = 0;
  ++item_;
  SkipEmptyWaves();
}

uint64_t GradientCursor::blocks_per_step() const {
  uint64_t blocks = 0;
  for (const auto& of_wave : blocks_) blocks += of_wave.size() * items_.size();
  return blocks;
}

}  // namespace waferstream
