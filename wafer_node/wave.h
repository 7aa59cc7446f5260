// What a wafer computes in one pass: which micro-batches, and their shape.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "plan/partition.h"
#include "plan/pass.h"
#include "plan/plan.h"
#include "plan/staging.h"

namespace waferstream {

// What attention and positions take for a sequence: one of the data, or, where documents are
// isolated, each document's part of one.
struct Document {
  int resident = 0;
  RowSpan rows;
};

// Resident micro-batches are numbered: the wafer's own in order, then the checked one.
struct Wave {
  Pass pass;
  LeafSpan leaves;                  // its own micro-batches; count may be 0
  std::optional<int> checked;       // another wafer's, computed to compare hashes (plan/verify.h)
  std::vector<bool> hashed;         // by resident: whether its hash is reported
  int64_t sequences = 0;            // of a micro-batch
  int64_t sequence_tokens = 0;      // the model's context, or less while a generation is young
  StagingSchedule staging;          // how gradients of its own are summed; training only
  std::vector<Document> documents;  // in order; set by the token feeder
  // Tokens of the global batch, or of the validation, and how many of them are targets: the loss is
  // the mean over these. Set by the token feeder.
  double batch_tokens = 1;
  double batch_targets = 1;

  // What a target's loss counts, as a share of the whole; and as a multiple of its share among all
  // tokens, by whose number whoever adds up the losses divides. A batch without any has no loss.
  double TokenShare() const { return batch_targets > 0 ? 1 / batch_targets : 0; }
  double TokenWeight() const { return batch_targets > 0 ? batch_tokens / batch_targets : 0; }

  // Those of one resident micro-batch: together all of its tokens.
  std::span<const Document> DocumentsOf(int resident) const;
  // The one that a row of it is in; those behind follow.
  const Document* DocumentOf(int resident, int64_t row) const;

  int resident() const { return leaves.count + (checked.has_value() ? 1 : 0); }
  int64_t tokens() const { return sequences * sequence_tokens; }  // of a micro-batch
  bool Owns(int resident) const { return resident < leaves.count; }
  int LeafOf(int resident) const { return Owns(resident) ? leaves.first + resident : *checked; }

  // Of every gradient. The checked micro-batch's is never summed, so it has one of its own.
  int staging_buffers() const { return staging.buffers + (checked.has_value() ? 1 : 0); }
  int StagingBufferOf(int resident) const {
    return Owns(resident) ? staging.steps[resident].buffer : staging.buffers;
  }
};

// All but the shape, which is the token feeder's to set. `disputed`: see ChecksOf.
Wave MakeWave(const Plan& plan, const Pass& pass, int wafer, const std::vector<uint32_t>& disputed);

}  // namespace waferstream
