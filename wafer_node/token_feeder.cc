#include "wafer_node/token_feeder.h"

#include <algorithm>
#include <utility>

namespace waferstream {

TokenFeeder::TokenFeeder(const Plan& plan, std::unique_ptr<TokenSource> source,
                         const AddressBook& at)
    : plan_(plan),
      source_(std::move(source)),
      at_(at),
      history_(plan.job.generate().prompt().begin(), plan.job.generate().prompt().end()) {}

void TokenFeeder::Feed(Wave& wave) {
  wave.sequences = plan_.job.training().micro_batch();
  wave.sequence_tokens = plan_.job.model().context();
  if (wave.pass.kind == PassKind::kBackward || wave.resident() == 0) return;
  if (wave.pass.kind == PassKind::kGenerate) {
    FeedHistory(wave);
  } else {
    FeedSequences(wave);
  }
}

void TokenFeeder::FeedSequences(const Wave& wave) {
  for (int r = 0; r < wave.resident(); ++r) {
    int32_t* ids = at_.As<int32_t>(SramBuffer::kTokenIds, r);
    int32_t* targets = at_.As<int32_t>(SramBuffer::kTargets, r);
    for (int64_t s = 0; s < wave.sequences; ++s) {
      const uint64_t i = static_cast<uint64_t>(wave.LeafOf(r)) * wave.sequences + s;
      const int64_t offset = s * wave.sequence_tokens;
      if (wave.pass.kind == PassKind::kValidation) {
        source_->CopyValidation(i, wave.sequence_tokens, ids + offset, targets + offset);
      } else {
        source_->CopyTraining(plan_.Batch(wave.pass.step) * plan_.job.training().global_batch() + i,
                              wave.sequence_tokens, ids + offset, targets + offset);
      }
    }
  }
}

void TokenFeeder::FeedHistory(Wave& wave) {
  const size_t tokens = std::min<size_t>(history_.size(), plan_.job.model().context());
  std::copy(history_.end() - tokens, history_.end(),
            at_.As<int32_t>(SramBuffer::kTokenIds, /*resident=*/0));
  wave.sequence_tokens = static_cast<int64_t>(tokens);
}

}  // namespace waferstream
