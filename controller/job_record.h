// What the controller writes down, and finds again after a restart.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "proto/controller.pb.h"
#include "proto/store.pb.h"

namespace waferstream {

// A job as it stands; replaces what was recorded of it before. `status` is without losses (they are
// the commits) and traffic.
struct JobRecord {
  uint64_t number = 0;  // counts the jobs of this state directory, from 1
  std::string request_id;
  JobStatus status;
  JobMemory memory = {};
};

// How long a step took, of its slowest wafer.
struct StepTimes {
  double step_seconds = 0;
  double exposed_fraction = 0;  // waited for a tile
  double profile_seconds = 0;   // on the wafer profile; 0: unknown
};

// One committed step. Written before any node is told, durable before any user is.
struct CommitRecord {
  std::string job_id;
  uint64_t step = 0;
  double loss = 0;
  double norm = 0;
  double clip_factor = 1;
  double learning_rate = 0;
  StepTimes times = {};  // measured: not the same when the step is done again
};

// The job goes back to a checkpoint: its commits from this step on are forgotten, to be made again.
struct RewindRecord {
  std::string job_id;
  uint64_t step = 0;
};

struct EventRecord {
  std::string job_id;
  double unix_s = 0;
  std::string text;
};

// A node that gets no new work, and, draining, leaves what it has.
struct CordonRecord {
  std::string node_id;
  bool cordoned = false;  // false: forget it
  bool draining = false;
  std::string note = {};  // why, if the controller did it
};

using StoreRecord = std::variant<JobRecord, CommitRecord, RewindRecord, EventRecord, CordonRecord>;

}  // namespace waferstream
