#include "client/controller_address.h"

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
  const absl::StatusOr<ClusterFile> cluster = ReadClusterFile(DefaultClusterDir());
  if (cluster.ok() && !cluster->controller.empty()) return cluster->controller;
  return absl::UnavailableError(
      "controller: none is known; give --controller host:port, set WAFERSTREAM_CONTROLLER, or "
      "start "
      "a cluster with `waferctl up`");
}

}  // namespace waferstream
