// What one seed stands for: a job, a cluster, how fast everything is, and what goes wrong.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proto/job.pb.h"
#include "sim/sim_world.h"

namespace waferstream {

// Each is a fault workload of its own, beside the job and the others.
enum class FaultKind {
  kKillNode,     // any node; it comes back
  kKillTwo,      // two at the same moment
  kKillForGood,  // a node of which there is one more than the job needs
  kFreezeNode,   // for longer than the lease, or for a moment
  kIsolateNode,  // from the controller only
  kCutChannel,
  kBlackholeChannel,
  kCorruptFrame,
  kKillController,
  kFreezeController,
  kSpoilDisk,     // full, read-only or unreliable for a while
  kJoinNode,      // one more node
  kDrainNode,     // or cordon; uncordoned after a while
  kStallChannel,  // one direction takes everything and passes nothing on, for ever
  kKinds,
};
const char* Name(FaultKind kind);

struct FaultWorkload {
  FaultKind kind;
  int64_t mean_pause_ns;
};

struct ChaosPlan {
  uint64_t seed = 0;
  int variant = 0;  // ChaosJob
  JobSpec job;
  int memoryx_nodes = 1;  // spares included
  int swarmx_nodes = 1;
  int wafer_nodes = 1;
  bool same_ports = false;  // of a node in all its lives
  Pace pace;
  Weather weather;
  std::vector<FaultWorkload> workloads;
  int64_t faults_end_ns = 0;
  int64_t deadline_ns = 0;  // everything is over by then
};

// `with_faults`: else the same without any.
ChaosPlan MakeChaosPlan(uint64_t seed, bool with_faults);

// One line.
std::string Describe(const ChaosPlan& plan);

}  // namespace waferstream
