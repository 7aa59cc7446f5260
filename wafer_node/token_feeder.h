// Puts the tokens of a wave's micro-batches into the arena.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
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
  // its target. An error: they cannot be had; one line that names the file.
  virtual absl::Status CopyTraining(uint64_t n, int64_t context, int32_t* ids,
                                    int32_t* targets) = 0;
  virtual absl::Status CopyValidation(uint64_t n, int64_t context, int32_t* ids,
                                      int32_t* targets) = 0;
};

// Not thread-safe; called between ops.
class TokenFeeder {
 public:
  // `source` may be null for a generation, which begins with its prompt.
  TokenFeeder(const Plan& plan, std::unique_ptr<TokenSource> source, const AddressBook& at);

  // Sets the shape of the wave and fills in its tokens. A backward pass has those of its forward;
  // where a validation has no sequence left, a micro-batch is filled up with token 0. An error is
  // the source's: then the wave must not be computed.
  absl::Status Feed(Wave& wave);

  // The next token of a generation.
  void Append(int32_t token) { history_.push_back(token); }

 private:
  absl::Status FeedSequences(const Wave& wave);
  absl::Status FeedSequence(PassKind kind, uint64_t step, uint64_t i, int32_t* ids,
                            int32_t* targets);
  // The last `context` tokens so far.
  void FeedHistory(Wave& wave);

  const Plan& plan_;
  const std::unique_ptr<TokenSource> source_;
  const AddressBook& at_;
  std::vector<int32_t> history_;
};

}  // namespace waferstream
