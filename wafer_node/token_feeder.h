// Puts the tokens of a wave's micro-batches into the arena.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "plan/plan.h"
#include "wafer_node/address_book.h"
#include "wafer_node/wave.h"

namespace waferstream {

// The job's data, as sequences in the order in which the job takes them. Reading may touch a mapped
// file, but does no other I/O.
class TokenSource {
 public:
  virtual ~TokenSource() = default;

  // Tokens of the n-th sequence of the training (n = Plan::Batch * global_batch + i), or of the
  // validation: `context` ids, and the token after each of them as its target.
  virtual void CopyTraining(uint64_t n, int64_t context, int32_t* ids, int32_t* targets) = 0;
  virtual void CopyValidation(uint64_t n, int64_t context, int32_t* ids, int32_t* targets) = 0;
};

// Not thread-safe; called between ops.
class TokenFeeder {
 public:
  // `source` may be null for a generation, which begins with its prompt.
  TokenFeeder(const Plan& plan, std::unique_ptr<TokenSource> source, const AddressBook& at);

  // Sets the shape of the wave and fills in its tokens. A backward pass has those of its forward.
  void Feed(Wave& wave);

  // The next token of a generation.
  void Append(int32_t token) { history_.push_back(token); }

 private:
  void FeedSequences(const Wave& wave);
  // The last `context` tokens so far.
  void FeedHistory(Wave& wave);

  const Plan& plan_;
  const std::unique_ptr<TokenSource> source_;
  const AddressBook& at_;
  std::vector<int32_t> history_;
};

}  // namespace waferstream
