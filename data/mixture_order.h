// Which sample of which file is computed when, of a job whose training data are several files.
//
// Without weights the files are one data set, one after the other, and an epoch has every sample
// once. With weights samples come in blocks of kBlock, in each of which every file has its share to
// within one sample, in an order of the block's own; each file goes through its own epochs.
//
// A pure function of (job, samples), at any position: nothing is remembered of those before.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/sample_order.h"
#include "proto/job.pb.h"

namespace waferstream {

// Immutable; any thread.
class MixtureOrder {
 public:
  static constexpr int64_t kBlock = 4096;

  // `samples` >= 1 of each file; `weights` above 0, one for each file, or none.
  MixtureOrder(Shuffle shuffle, uint64_t seed, std::span<const int64_t> samples,
               std::span<const double> weights);

  struct Place {
    int file = 0;
    int64_t sample = 0;
  };
  // Of the n-th sample of the job: n = step * global_batch + i.
  Place At(uint64_t n) const;

 private:
  std::vector<int64_t> ends_;        // of the files' runs: in the data set, or in a block
  std::vector<SampleOrder> orders_;  // of all; or of a block's places, and then of every file
};

}  // namespace waferstream
