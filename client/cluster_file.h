// The file by which `waferctl down`, and every command without --controller, find the cluster that
// `waferctl up` left running on this machine.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/process_identity.h"

namespace waferstream {

struct ClusterProcess {
  std::string name;  // e.g. "wafer-0"
  ProcessIdentity identity;
  std::string log;
};

// Written anew after every process that the supervisor starts, so that no process is ever without
// an entry for longer than it takes to write it.
struct ClusterFile {
  std::string controller = {};      // host:port; empty until the cluster is ready
  ProcessIdentity supervisor = {};  // the `up` that watches over the processes
  std::string boot_id = {};         // the boot that the start times count from
  std::string kernel_isa = {};      // that the wafer nodes are held to; empty: the CPU's best
  std::string fabric = {};  // of all nodes; empty: theirs, as of a cluster before there were more
  std::vector<ClusterProcess> processes = {};
};

// The folder of the one cluster of this user: $XDG_STATE_HOME/waferstream/cluster, or the same
// under ~/.local/state. INVALID_ARGUMENT: nothing says where this user is at home.
absl::StatusOr<std::string> DefaultClusterDir();

// What --dir says, or else the default; absolute.
absl::StatusOr<std::string> ClusterDir(const std::string& flag);

// Replaces DIR/cluster.json atomically.
absl::Status WriteClusterFile(const std::string& dir, const ClusterFile& cluster);
// NOT_FOUND: there is none. INVALID_ARGUMENT: it is not one.
absl::StatusOr<ClusterFile> ReadClusterFile(const std::string& dir);
// Also what RememberCluster made.
absl::Status RemoveClusterFile(const std::string& dir);

// So that commands of this user which are given a controller's address alone find the folder of its
// cluster, and there its secret, wherever it is: a link beside the default folder.
absl::Status RememberCluster(const std::string& controller, const std::string& dir);
// The default folder, or one that was remembered, if its cluster has this controller. NOT_FOUND:
// neither does.
absl::StatusOr<std::string> FindClusterOf(const std::string& controller);

// Those of its processes that still run, the supervisor not among them.
std::vector<ClusterProcess> RunningProcesses(const ClusterFile& cluster);
// Whether somebody watches over them.
bool IsSupervised(const ClusterFile& cluster);

}  // namespace waferstream
