#include "wafer_node/token_feeder.h"

#include <algorithm>
#include <utility>

#include "base/status.h"

namespace waferstream {

TokenFeeder::TokenFeeder(const Plan& plan, std::unique_ptr<TokenSource> source,
                         const AddressBook& at)
    : plan_(plan),
      source_(std::move(source)),
      at_(at),
      history_(plan.job.generate().prompt().begin(), plan.job.generate().prompt().end()) {}

absl::Status TokenFeeder::Feed(Wave& wave) {
  wave.sequences = plan_.job.training().micro_batch();
  wave.sequence_tokens = plan_.job.model().context();
  if (wave.pass.kind == PassKind::kBackward || wave.resident() == 0) return absl::OkStatus();
  if (wave.pass.kind != PassKind::kGenerate) return FeedSequences(wave);
  FeedHistory(wave);
  return absl::OkStatus();
}

absl::Status TokenFeeder::FeedSequences(const Wave& wave) {
  for (int r = 0; r < wave.resident(); ++r) {
    int32_t* ids = at_.As<int32_t>(SramBuffer::kTokenIds, r);
    int32_t* targets = at_.As<int32_t>(SramBuffer::kTargets, r);
    for (int64_t s = 0; s < wave.sequences; ++s) {
      const uint64_t i = static_cast<uint64_t>(wave.LeafOf(r)) * wave.sequences + s;
      const int64_t offset = s * wave.sequence_tokens;
      RETURN_IF_ERROR(
          FeedSequence(wave.pass.kind, wave.pass.step, i, ids + offset, targets + offset));
    }
  }
  return absl::OkStatus();
}

absl::Status TokenFeeder::FeedSequence(PassKind kind, uint64_t step, uint64_t i, int32_t* ids,
                                       int32_t* targets) {
  const int64_t context = plan_.job.model().context();
  if (kind != PassKind::kValidation) {
    const uint64_t first = plan_.Batch(step) * plan_.job.training().global_batch();
    return source_->CopyTraining(first + i, context, ids, targets);
  }
  if (i < static_cast<uint64_t>(plan_.validation_sequences)) {
    return source_->CopyValidation(i, context, ids, targets);
  }
  std::fill_n(ids, context, 0);
  std::fill_n(targets, context, 0);
  return absl::OkStatus();
}

void TokenFeeder::FeedHistory(Wave& wave) {
  const size_t tokens = std::min<size_t>(history_.size(), plan_.job.model().context());
  std::copy(history_.end() - tokens, history_.end(),
            at_.As<int32_t>(SramBuffer::kTokenIds, /*resident=*/0));
  wave.sequence_tokens = static_cast<int64_t>(tokens);
}

}  // namespace waferstream
