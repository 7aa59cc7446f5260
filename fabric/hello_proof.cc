#include "fabric/hello_proof.h"

#include <vector>

#include "absl/strings/str_cat.h"

namespace waferstream {
namespace {

std::vector<std::string> Parts(const char* end, const Hello& hello, const HelloNonces& nonces) {
  return {end,
          nonces.listener,
          nonces.dialler,
          hello.job_id(),
          absl::StrCat(hello.epoch()),
          absl::StrCat(hello.plan_hash()),
          absl::StrCat(hello.channel()),
          hello.node_id(),
          absl::StrCat(hello.port())};
}

constexpr char kDialler[] = "fabric dialler";
constexpr char kListener[] = "fabric listener";

}  // namespace

std::string DiallerProof(const ClusterSecret& secret, const Hello& hello,
                         const HelloNonces& nonces) {
  return secret.Prove(Parts(kDialler, hello, nonces));
}

std::string ListenerProof(const ClusterSecret& secret, const Hello& hello,
                          const HelloNonces& nonces) {
  return secret.Prove(Parts(kListener, hello, nonces));
}

bool IsDiallers(const ClusterSecret& secret, const Hello& hello, const HelloNonces& nonces) {
  return secret.Check(hello.proof(), Parts(kDialler, hello, nonces));
}

bool IsListeners(const ClusterSecret& secret, const Hello& hello, const HelloNonces& nonces) {
  return secret.Check(hello.proof(), Parts(kListener, hello, nonces));
}

}  // namespace waferstream
