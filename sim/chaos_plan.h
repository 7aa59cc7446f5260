// What one seed stands for: jobs, a cluster, how fast everything is, what users do, and what goes
// wrong.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fault_spec.h"
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
  kHangNode,      // stopped for good, until its supervisor ends it and starts it again
  kHangController,
  kStopNode,  // told to stop: it leaves as far as it can in time, and comes back
  kKinds,
};
const char* Name(FaultKind kind);

struct FaultWorkload {
  FaultKind kind;
  int64_t mean_pause_ns;
};

// What a job's user does to it, beside submitting it and resuming it when it is paused.
enum class UserAct {
  kNothing,
  kCancel,  // at a moment of his own
  kAmend,   // whenever it is paused, resumes with another learning rate or another batch
};

struct ChaosJobPlan {
  int variant = 0;  // ChaosJob
  JobSpec spec;     // of generation: from what the first job ends with, once it is done
  int64_t submitted_ns = 0;
  UserAct act = UserAct::kNothing;
  int64_t cancelled_ns = 0;
};

// A machine whose results are wrong; caught, whatever else happens.
struct ChaosFlip {
  enum class Where {
    kNowhere,
    kWafer,    // in a plan whose every micro-batch is computed twice
    kMemoryx,  // at rest
  };
  Where where = Where::kNowhere;
  int node = 0;  // of its role
  FaultSpec what;
};

struct ChaosPlan {
  uint64_t seed = 0;
  std::vector<ChaosJobPlan> jobs;  // at least one; the first is submitted at once
  int memoryx_nodes = 1;           // spares included
  int swarmx_nodes = 1;
  int wafer_nodes = 1;
  bool same_ports = false;  // of a node in all its lives
  Pace pace;
  Weather weather;
  std::vector<FaultWorkload> workloads;
  ChaosFlip flip;
  int64_t faults_end_ns = 0;
  int64_t deadline_ns = 0;  // everything is over by then
};

// `with_faults`: else the same without any.
ChaosPlan MakeChaosPlan(uint64_t seed, bool with_faults);

// One line.
std::string Describe(const ChaosPlan& plan);

}  // namespace waferstream
