#include "client/controller_address.h"

#include <cstdio>
#include <cstdlib>

#include "base/status.h"
#include "base/user_input.h"
#include "client/cluster_file.h"

namespace waferstream {

absl::StatusOr<std::string> ResolveController(const std::string& flag) {
  if (!flag.empty()) {
    RETURN_IF_ERROR(CheckAddress("--controller", flag));
    return flag;
  }
  const char* variable = std::getenv("WAFERSTREAM_CONTROLLER");
  if (variable && *variable) {
    RETURN_IF_ERROR(CheckAddress("WAFERSTREAM_CONTROLLER", variable));
    return std::string(variable);
  }
  const absl::StatusOr<std::string> dir = DefaultClusterDir();
  const absl::StatusOr<ClusterFile> cluster = dir.ok() ? ReadClusterFile(*dir) : dir.status();
  if (cluster.ok() && !cluster->controller.empty()) {
    if (!IsSupervised(*cluster)) {
      std::fprintf(stderr,
                   "waferctl: note: nobody watches over the cluster any more (its supervisor has "
                   "ended); `waferctl up` takes it over\n");
    }
    return cluster->controller;
  }
  return absl::UnavailableError(
      "controller: none is known; give --controller host:port, set WAFERSTREAM_CONTROLLER, or "
      "start "
      "a cluster with `waferctl up`");
}

}  // namespace waferstream
