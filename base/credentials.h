// What a process shows its peers, and asks of them.
#pragma once

#include <memory>
#include <string>

#include "base/cluster_secret.h"
#include "base/tls_identity.h"
#include "base/users.h"

namespace waferstream {

// One object for every connection of a process, control and fabric.
struct Credentials {
  // The cluster's. Null: this process knows none; it proves nothing, and lets everybody in.
  std::shared_ptr<const ClusterSecret> secret = nullptr;
  // By certificate. Null: connections are in the clear.
  std::shared_ptr<const TlsIdentity> tls = nullptr;
  // Of a process that serves people: who they are. Null: it does not tell them apart.
  std::shared_ptr<Users> users = nullptr;
  // Of a person that calls. Empty: none.
  std::string token = {};
};

}  // namespace waferstream
