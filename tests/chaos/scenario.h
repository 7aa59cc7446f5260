// A job, a cluster, and what happens to it at random moments.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "plan/plan.h"
#include "proto/controller.pb.h"

namespace waferstream {

struct Fault {
  enum class Kind {
    kKill,     // SIGKILL, for good
    kRestart,  // SIGKILL, and started again a moment later
    kHang,    // SIGSTOP for longer than the lease, then SIGCONT: a zombie that believes it is alive
    kMute,    // its channels swallow packets from now on; new ones work
    kVanish,  // and so do its connections to the controller
    // on its connections to below, through a FaultProxy:
    kCut,          // they are reset
    kStall,        // nothing passes for a second
    kSwallowTo,    // for ever, everything is taken and nothing passed on: to the target,
    kSwallowFrom,  // from it,
    kSwallowBoth,  // or both; new connections work
    kDelay,        // everything takes 20 ms longer, for two seconds
    kFlipBit,      // a bit is flipped in flight
  };
  Kind kind;
  std::string target;  // "controller" or a node's id
};

struct Scenario {
  std::string name;
  ClusterShape shape = {
      .wafers = 2, .memoryx = 1, .swarmx = 1};  // processes; more than in the job: spares
  std::vector<std::string> job = {};            // overrides
  // Of all nodes; empty: shared memory, as they are of one host, or TCP where the faults are those
  // of a network.
  std::string fabric = {};
  std::vector<Fault> faults = {};  // each at a moment of its own, uniform over the job's duration
};

inline void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }

// Runs it with the moments that `seed` chooses; fails the test unless the job ends as if nothing
// had happened. Skips the test where the system does not allow the fault.
void RunScenario(const Scenario& scenario, uint64_t seed);

}  // namespace waferstream
