// One job on many clusters: what must not depend on them, and that it does not.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "proto/job.pb.h"
#include "sim/inproc_cluster.h"

namespace waferstream {

// Everything that must not depend on the cluster.
struct Numbers {
  std::string weights, optimizer;
  std::vector<double> losses, validation, norms;
  friend bool operator==(const Numbers&, const Numbers&) = default;
};
std::ostream& operator<<(std::ostream& out, const Numbers& n);

Numbers NumbersOf(const InprocResult& result);

// A run as plain as possible.
Numbers Plainest(const JobSpec& job);

struct Cluster {
  int wafers, fanout, memoryx, planes, threads;
  Recompute recompute;
};

// The job as it asks for the cluster.
JobSpec On(const Cluster& c, JobSpec job);

// Runs the job on the cluster and compares; planned and measured SRAM must be the same, too.
void ExpectSame(const Numbers& expected, const JobSpec& job, const Cluster& c, uint64_t seed);

}  // namespace waferstream
