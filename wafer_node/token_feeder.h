// Puts the tokens of a wave's micro-batches into the arena.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "plan/plan.h"
#include "wafer_node/address_book.h"
#include "wafer_node/wave.h"

namespace waferstream {

// The job's data, as sequences in the order in which the job takes them. Reading may block on the
// disk.
class TokenSource {
 public:
  virtual ~TokenSource() = default;

  // Tokens of the n-th sequence of the training (n = Plan::Batch * global_batch + i), or of the
  // validation (n < Plan::validation_sequences): `context` ids, and the token after each of them as
  // its target, or kNoTarget. An error: they cannot be had; one line that names the file.
  virtual absl::Status CopyTraining(uint64_t n, int64_t context, int32_t* ids,
                                    int32_t* targets) = 0;
  virtual absl::Status CopyValidation(uint64_t n, int64_t context, int32_t* ids,
                                      int32_t* targets) = 0;

  // Whether some tokens may be no targets.
  virtual bool is_masked() const { return false; }
  // The id that ends a document of the training or the validation; -1: none does.
  virtual int32_t end_of_text(bool /*of_validation*/) const { return -1; }
};

// Reads one wave ahead: Read, on a lane that may block, while the wave before it computes; then
// Place, between ops. What was read waits in DRAM: a sequence takes 8 bytes a token.
//
// Not thread-safe: nothing else is called while Read runs.
class TokenFeeder {
 public:
  // `source` may be null for a generation, which begins with its prompt.
  TokenFeeder(const Plan& plan, std::unique_ptr<TokenSource> source, const AddressBook& at);

  // Whether the wave's tokens are read from files. A backward pass has those of its forward.
  static bool Reads(const Wave& wave) {
    return wave.resident() > 0 &&
           (wave.pass.kind == PassKind::kForward || wave.pass.kind == PassKind::kValidation);
  }

  // Reads the tokens of a wave that Reads; where a validation has no sequence left, a micro-batch
  // is filled up with token 0. An error is the source's: then the wave must not be computed.
  absl::Status Read(const Wave& wave);

  // Sets the shape of the wave and puts its tokens where its ops look for them: those read last, if
  // it Reads.
  void Place(Wave& wave);

  // The next token of a generation.
  void Append(int32_t token) { history_.push_back(token); }

 private:
  // Whether it matters how many: where there are masks, but for sequences of their own, whose sums
  // are what is asked for.
  bool CountsTargets() const;
  // How many targets the batch or the validation has that a wave is of: where there are masks, all
  // of its sequences are read, once.
  absl::StatusOr<double> CountTargets(const Wave& wave);
  double BatchTokens(const Wave& wave) const;
  absl::Status ReadSequence(PassKind kind, uint64_t step, uint64_t i, int32_t* ids,
                            int32_t* targets);
  void PlaceSequences(const Wave& wave);
  // Which sequences, or documents in them, the wave has.
  void FindDocuments(Wave& wave) const;
  // The last `context` tokens so far.
  void PlaceHistory(Wave& wave);
  // Of one micro-batch.
  size_t tokens() const {
    return size_t{plan_.job.training().micro_batch()} * plan_.job.model().context();
  }

  const Plan& plan_;
  const std::unique_ptr<TokenSource> source_;
  const AddressBook& at_;
  std::vector<int32_t> ids_, targets_;  // read last, by resident micro-batch
  // By what they are the targets of: a training's step, or the validation. Of the steps only the
  // last ones are kept: that which is read, and that which computes.
  std::map<uint64_t, double> training_targets_;
  std::optional<double> validation_targets_;
  std::vector<int32_t> history_;
};

}  // namespace waferstream
