#include "rpc/proof.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace waferstream {
namespace {

// The first part keeps a proof for one purpose from being one for another.
std::vector<std::string> CallParts(const Audience& to, const std::string& ms,
                                   const std::string& nonce) {
  return {"call", to.service, absl::StrCat(to.port), ms, nonce};
}

std::vector<std::string> AnswerParts(const Audience& from, const std::string& proof) {
  return {"answer", from.service, absl::StrCat(from.port), proof};
}

absl::Status CheckAge(const std::string& ms, absl::Time now, absl::Duration listening) {
  int64_t made_ms = 0;
  if (!absl::SimpleAtoi(ms, &made_ms)) return absl::UnauthenticatedError("no time in the proof");
  const absl::Duration age = now - absl::FromUnixMillis(made_ms);
  if (age > listening) {
    return absl::UnavailableError("the proof is from before this process listened; try again");
  }
  if (age <= kProofAgeMax && age >= -kProofAgeMax) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("the proof was made ",
                                             absl::FormatDuration(absl::AbsDuration(age)),
                                             age > absl::ZeroDuration() ? " ago" : " from now",
                                             ": do the clocks of the two hosts differ?"));
}

}  // namespace

std::string MakeProof(const ClusterSecret& secret, const Audience& audience, absl::Time now) {
  // Rounded up: a call made after its callee began to listen is never from before that.
  const absl::Duration made = absl::Ceil(now - absl::UnixEpoch(), absl::Milliseconds(1));
  const std::string ms = absl::StrCat(absl::ToInt64Milliseconds(made));
  const std::string nonce = Nonce();
  return absl::StrCat(ms, "-", nonce, "-", secret.Prove(CallParts(audience, ms, nonce)));
}

absl::Status CheckProof(const ClusterSecret& secret, const Audience& audience,
                        const std::string& proof, absl::Time now, absl::Duration listening) {
  if (proof.empty()) {
    return absl::UnauthenticatedError(
        "denied: it is for who knows the cluster's secret, and the caller names none "
        "(--secret-file)");
  }
  const std::vector<std::string> parts = absl::StrSplit(proof, '-');
  const bool right =
      parts.size() == 3 && secret.Check(parts[2], CallParts(audience, parts[0], parts[1]));
  if (right) return CheckAge(parts[0], now, listening);
  return absl::UnauthenticatedError(
      "denied: the caller's proof is of another secret, or for another process");
}

std::string MakeAnswer(const ClusterSecret& secret, const Audience& audience,
                       const std::string& proof) {
  return secret.Prove(AnswerParts(audience, proof));
}

bool CheckAnswer(const ClusterSecret& secret, const Audience& audience, const std::string& proof,
                 const std::string& answer) {
  return secret.Check(answer, AnswerParts(audience, proof));
}

}  // namespace waferstream
