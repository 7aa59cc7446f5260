// What a process shows its peers, and asks of them.
#pragma once

#include <memory>

#include "base/cluster_secret.h"

namespace waferstream {

// One object for every connection of a process, control and fabric: whatever else may prove who
// somebody is (certificates) becomes a field of it.
struct Credentials {
  // The cluster's. Null: this process knows none; it proves nothing, and lets everybody in.
  std::shared_ptr<const ClusterSecret> secret = nullptr;
};

}  // namespace waferstream
