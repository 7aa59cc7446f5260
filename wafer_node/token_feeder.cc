#include "wafer_node/token_feeder.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "base/status.h"
#include "wafer_node/kernels/loss.h"

namespace waferstream {

TokenFeeder::TokenFeeder(const Plan& plan, std::unique_ptr<TokenSource> source,
                         const AddressBook& at)
    : plan_(plan),
      source_(std::move(source)),
      at_(at),
      history_(plan.job.generate().prompt().begin(), plan.job.generate().prompt().end()) {
  if (source_ == nullptr) return;
  ids_.reserve((plan.resident_max + plan.verify_slots) * tokens());
  targets_.reserve(ids_.capacity());
}

absl::Status TokenFeeder::Read(const Wave& wave) {
  if (CountsTargets()) {
    ASSIGN_OR_RETURN(const double targets, CountTargets(wave));
    if (wave.pass.kind == PassKind::kValidation) {
      validation_targets_ = targets;
    } else {
      training_targets_[wave.pass.step] = targets;
      std::erase_if(training_targets_, [&](const auto& known) {
        return known.first + 1 < wave.pass.step || known.first > wave.pass.step;
      });
    }
  }
  ids_.resize(wave.resident() * tokens());
  targets_.resize(ids_.size());
  const uint64_t sequences = plan_.job.training().micro_batch();
  size_t offset = 0;
  for (int r = 0; r < wave.resident(); ++r) {
    for (uint64_t s = 0; s < sequences; ++s) {
      const uint64_t i = static_cast<uint64_t>(wave.LeafOf(r)) * sequences + s;
      RETURN_IF_ERROR(
          ReadSequence(wave.pass.kind, wave.pass.step, i, &ids_[offset], &targets_[offset]));
      offset += plan_.job.model().context();
    }
  }
  return absl::OkStatus();
}

void TokenFeeder::Place(Wave& wave) {
  wave.sequences = plan_.job.training().micro_batch();
  wave.sequence_tokens = plan_.job.model().context();
  wave.batch_tokens = wave.batch_targets = BatchTokens(wave);
  if (CountsTargets() && wave.resident() > 0) {
    wave.batch_targets = wave.pass.kind == PassKind::kValidation
                             ? *validation_targets_
                             : training_targets_.at(wave.pass.step);
  }
  if (Reads(wave)) PlaceSequences(wave);
  if (wave.pass.kind == PassKind::kGenerate && wave.resident() > 0) PlaceHistory(wave);
  FindDocuments(wave);
}

void TokenFeeder::FindDocuments(Wave& wave) const {
  wave.documents.clear();
  const bool isolated = plan_.job.data().isolate_documents() && source_ != nullptr;
  const bool validates = wave.pass.kind == PassKind::kValidation;
  const int32_t end = isolated ? source_->end_of_text(validates) : -1;
  for (int r = 0; r < wave.resident(); ++r) {
    const int32_t* ids = at_.As<int32_t>(SramBuffer::kTokenIds, r);
    for (int64_t t = 0; t < wave.tokens(); ++t) {
      const bool begins = t % wave.sequence_tokens == 0 || (isolated && ids[t - 1] == end);
      if (begins) wave.documents.push_back({r, {t, 0}});
      ++wave.documents.back().rows.count;
    }
  }
}

bool TokenFeeder::CountsTargets() const {
  return source_ != nullptr && source_->is_masked() && !plan_.job.data().each_sequence();
}

double TokenFeeder::BatchTokens(const Wave& wave) const {
  const double sequences = wave.pass.kind == PassKind::kValidation
                               ? static_cast<double>(plan_.validation_sequences)
                               : plan_.job.training().global_batch();
  return sequences * plan_.job.model().context();
}

absl::StatusOr<double> TokenFeeder::CountTargets(const Wave& wave) {
  const bool validates = wave.pass.kind == PassKind::kValidation;
  if (validates && validation_targets_.has_value()) return *validation_targets_;
  if (!validates && training_targets_.contains(wave.pass.step)) {
    return training_targets_.at(wave.pass.step);
  }
  const int64_t context = plan_.job.model().context();
  const uint64_t sequences =
      validates ? plan_.validation_sequences : plan_.job.training().global_batch();
  std::vector<int32_t> ids(context), targets(context);
  double count = 0;
  for (uint64_t i = 0; i < sequences; ++i) {
    RETURN_IF_ERROR(ReadSequence(wave.pass.kind, wave.pass.step, i, ids.data(), targets.data()));
    count += static_cast<double>(context - std::count(targets.begin(), targets.end(), kNoTarget));
  }
  return count;
}

void TokenFeeder::PlaceSequences(const Wave& wave) {
  for (int r = 0; r < wave.resident(); ++r) {
    const auto from = static_cast<std::ptrdiff_t>(r * tokens());
    std::copy_n(ids_.begin() + from, tokens(), at_.As<int32_t>(SramBuffer::kTokenIds, r));
    std::copy_n(targets_.begin() + from, tokens(), at_.As<int32_t>(SramBuffer::kTargets, r));
  }
}

absl::Status TokenFeeder::ReadSequence(PassKind kind, uint64_t step, uint64_t i, int32_t* ids,
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

void TokenFeeder::PlaceHistory(Wave& wave) {
  const size_t tokens = std::min<size_t>(history_.size(), plan_.job.model().context());
  std::copy(history_.end() - tokens, history_.end(),
            at_.As<int32_t>(SramBuffer::kTokenIds, /*resident=*/0));
  wave.sequence_tokens = static_cast<int64_t>(tokens);
}

}  // namespace waferstream
