// Which sample of the data is computed when. A pure function of (job, samples): any process, after
// any restart, at any cluster size, asks for the n-th sample of the job and gets the same.
#pragma once

#include <cstdint>

#include "base/philox.h"
#include "proto/job.pb.h"

namespace waferstream {

// Immutable; any thread.
class SampleOrder {
 public:
  // `samples` >= 1, as TokenFile::Samples counted them. Two purposes shuffle
  // differently, and so do two streams of one.
  SampleOrder(Shuffle shuffle, uint64_t seed, int64_t samples, Purpose purpose = Purpose::kShuffle,
              uint64_t stream = 0);

  // The sample, in [0, samples), that is the n-th of the job: n = step * global_batch + i.
  // SHUFFLE_NONE: n modulo samples. SHUFFLE_EPOCH: every run of `samples` consecutive n is a
  // permutation of its own.
  int64_t At(uint64_t n) const;

 private:
  uint64_t Permute(uint64_t position, uint64_t epoch) const;

  Shuffle shuffle_;
  uint64_t seed_;
  uint64_t samples_;
  Purpose purpose_;
  uint64_t stream_;
  int half_bits_ = 1;  // of the Feistel network: 4^half_bits_ >= samples_
};

}  // namespace waferstream
