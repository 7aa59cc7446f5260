// How a caller proves in one message that it knows the cluster's secret, and the callee in its
// answer; pure. See docs/adr/0016-a-secret-of-the-cluster.md.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/cluster_secret.h"

namespace waferstream {

// Metadata of a call: "<unix ms>-<nonce>-<HMAC over service, port, ms, nonce>"; and of its answer:
// "<HMAC over service, port, the caller's proof>". No byte of the secret is in either.
inline constexpr char kProofKey[] = "waferstream-proof";
inline constexpr char kAnswerKey[] = "waferstream-answer";

// Whom a proof is for; it proves nothing to anybody else.
struct Audience {
  std::string service;  // the full name, "waferstream.Node"
  uint16_t port = 0;    // at which others reach it
};

// How long a proof holds. Peers on other hosts may have clocks that differ by less.
inline constexpr absl::Duration kProofAgeMax = absl::Minutes(2);

std::string MakeProof(const ClusterSecret& secret, const Audience& audience, absl::Time now);

// OK; UNAUTHENTICATED: there is none, or it is not of this secret and audience; UNAVAILABLE: it is,
// but too old, too new, or from before this process listened (`listening` ago), when somebody else
// may have heard it on this port. Whoever made it may try again.
absl::Status CheckProof(const ClusterSecret& secret, const Audience& audience,
                        const std::string& proof, absl::Time now, absl::Duration listening);

std::string MakeAnswer(const ClusterSecret& secret, const Audience& audience,
                       const std::string& proof);
bool CheckAnswer(const ClusterSecret& secret, const Audience& audience, const std::string& proof,
                 const std::string& answer);

}  // namespace waferstream
