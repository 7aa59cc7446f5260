// What a process shows its peers, and asks of them.
#pragma once

#include <memory>

#include "base/cluster_secret.h"
#include "base/tls_identity.h"

namespace waferstream {

// One object for every connection of a process, control and fabric.
struct Credentials {
  // The cluster's. Null: this process knows none; it proves nothing, and lets everybody in.
  std::shared_ptr<const ClusterSecret> secret = nullptr;
  // By certificate. Null: connections are in the clear.
  std::shared_ptr<const TlsIdentity> tls = nullptr;
};

}  // namespace waferstream
