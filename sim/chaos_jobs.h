// The jobs of the chaos runs, and what must come of each, whatever happens on the way.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/disk.h"
#include "proto/job.pb.h"

namespace waferstream {

// Jobs of one family. So few that the fault-free run of each is cheap to have.
inline constexpr int kChaosJobs = 24;

// Job variant % kChaosJobs of family variant / kChaosJobs: everything that its numbers depend on
// (model, data, optimizer, steps, micro-batches, tile size, precision). The cluster is the plan's
// to choose; here it is the smallest. Its token files are those of WriteChaosData.
JobSpec ChaosJob(int variant);
void WriteChaosData(Disk& disk);

// The generation job of this number: a few tokens. Where the weights are is left to be said.
JobSpec ChaosGeneration(int variant);

// What a run of a job ends with.
struct ChaosNumbers {
  std::string weights_hash;
  std::string optimizer_hash;
  std::vector<double> losses;  // one a step
  double validation_loss = 0;
  std::vector<uint32_t> generated;
  friend bool operator==(const ChaosNumbers&, const ChaosNumbers&) = default;
};
std::string Describe(const ChaosNumbers& numbers);

// Of the fault-free run on one node of each role (inproc_cluster.h) of ChaosJob(variant) with what
// was amended in `trained`; and of ChaosGeneration(variant) from what that run ends with. Made once
// a process; thread-safe.
const ChaosNumbers& ExpectedNumbers(int variant, const TrainingSpec& trained);
const ChaosNumbers& ExpectedTokens(int variant, const TrainingSpec& trained);

}  // namespace waferstream
