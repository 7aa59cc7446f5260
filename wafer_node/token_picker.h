// Chooses the next token of a generation while the vocabulary streams by, tile by tile.
//
// Temperature 0 takes the largest logit. Otherwise it samples by the Gumbel trick: the largest of
// logit / temperature + noise, where the noise of an id depends on (seed, token index, id) only.
// With top_k, only the k largest logits take part; with top_p, of those the fewest, from the
// largest on, whose softmax at the temperature adds up to at least p. Ties go to the lowest id.
// With top_p and no top_k all logits are kept. Not thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "proto/job.pb.h"

namespace waferstream {

class TokenPicker {
 public:
  explicit TokenPicker(const GenerateSpec& spec);

  // Begins token `index` of the generation.
  void Start(uint64_t index);
  // Logits of ids [first_id, first_id + count), in increasing order of ids over the calls.
  void Add(int64_t first_id, const float* logits, int64_t count);
  // After the last tile.
  int32_t Pick() const;

 private:
  struct Candidate {
    double score;  // the logit; with noise when all ids take part in the sampling
    int32_t id;
  };
  static bool Better(const Candidate& a, const Candidate& b);
  double WithNoise(double logit, int32_t id) const;
  void Offer(const Candidate& candidate);
  // Those of kept_ that top_p leaves.
  std::vector<Candidate> Likeliest() const;

  const double temperature_;
  const double top_p_;     // 1: no limit
  const size_t kept_max_;  // 1, or top_k, or no limit
  const bool sample_all_;
  const uint64_t seed_;
  uint64_t index_ = 0;
  std::vector<Candidate> kept_;  // a heap with the worst in front
};

}  // namespace waferstream
