// How the two ends of a connection prove to one another that they know the cluster's secret; pure.
#pragma once

#include <string>

#include "base/cluster_secret.h"
#include "proto/fabric.pb.h"

namespace waferstream {

// The listener speaks first, a Hello with a nonce alone. The dialler's Hello brings its own nonce
// and a proof over both and all that it says; the answer a proof the other way round. A proof is of
// no use on another connection, because no nonce comes twice, nor on another port.
struct HelloNonces {
  std::string listener;
  std::string dialler;
};

std::string DiallerProof(const ClusterSecret& secret, const Hello& hello,
                         const HelloNonces& nonces);
std::string ListenerProof(const ClusterSecret& secret, const Hello& hello,
                          const HelloNonces& nonces);

// Whether hello.proof() is the one of that end.
bool IsDiallers(const ClusterSecret& secret, const Hello& hello, const HelloNonces& nonces);
bool IsListeners(const ClusterSecret& secret, const Hello& hello, const HelloNonces& nonces);

}  // namespace waferstream
