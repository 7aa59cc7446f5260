// The life of a cluster that stays: started or taken over, watched over, ended.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "client/cluster_file.h"
#include "plan/plan.h"

namespace waferstream {

struct SupervisorOptions {
  ClusterShape shape;
  std::string kernel_isa;   // of the wafer nodes; empty: the CPU's best
  std::string fabric;       // of all nodes; empty: theirs
  int controller_port = 0;  // 0: any free one
  std::string dir;          // absolute
};

// INVALID_ARGUMENT: another program listens on it. 0 is any free one.
absl::Status CheckPortIsFree(int port);

// Owns the cluster of `dir` until SIGTERM, SIGINT or SIGHUP (unless ignored) asks for its end, and
// starts again what dies or hangs, one line on stderr each. While it runs, DIR/lock is locked and
// DIR/cluster.json names it and every process. `ready` is called once every node has registered.
//
// When the supervisor itself is killed, its processes live on without one; the next one takes them
// over, whatever shape it was told.
//
// FAILED_PRECONDITION: somebody else watches over this folder. Else: why the cluster could not
// start, or does not stay up; then nothing of it is left. Must run on the main thread.
absl::Status Supervise(const SupervisorOptions& options,
                       const std::function<absl::Status(const ClusterFile&)>& ready);

}  // namespace waferstream
