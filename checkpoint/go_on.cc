#include "checkpoint/go_on.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "base/version.h"
#include "plan/dependencies.h"
#include "plan/kernel_order.h"

namespace waferstream {
namespace {

bool Accepts(const JobSpec& job, const std::string& key) {
  const auto& accept = job.checkpoint().accept();
  return std::find(accept.begin(), accept.end(), key) != accept.end();
}

absl::Status Refuse(const JobSpec& job, const std::vector<Difference>& differences) {
  std::vector<std::string> what, flags;
  for (const Difference& d : differences) {
    what.push_back(absl::StrCat(d.key, " was ", d.was, " and is ", d.is));
    flags.push_back(absl::StrCat("--accept ", d.key));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "checkpoint.from: ", job.checkpoint().from(), " cannot be gone on from as it is: ",
      absl::StrJoin(what, "; "), "; `", absl::StrJoin(flags, " "), "` goes on all the same"));
}

// The optimizer's learning rate in the job counts from here on if it is a new one; otherwise what a
// pause changed it to.
void TakeOver(const Manifest& manifest, bool new_rate, GoingOn& out) {
  TrainingSpec& training = *out.job.mutable_training();
  training.clear_amendments();
  for (Amendment amendment : manifest.job.training().amendments()) {
    if (new_rate) amendment.set_lr(0);
    if (amendment.lr() > 0 || amendment.skip_batch()) *training.add_amendments() = amendment;
  }
  *out.job.mutable_checkpoint()->mutable_accepted() = manifest.job.checkpoint().accepted();
}

void Accept(const Difference& d, uint64_t steps_done, GoingOn& out) {
  AcceptedDifference& accepted = *out.job.mutable_checkpoint()->add_accepted();
  accepted.set_from_step(steps_done);
  accepted.set_key(d.key);
  accepted.set_was(d.was);
  accepted.set_is(d.is);
  out.notes.push_back(
      absl::StrCat("accepted: ", d.key, " was ", d.was, " and is ", d.is, " from here on"));
}

}  // namespace

absl::StatusOr<GoingOn> GoOnFrom(const JobSpec& job, const Manifest& manifest,
                                 const std::string& kernel_isa) {
  RETURN_IF_ERROR(CheckAccept(
      "checkpoint.accept", {job.checkpoint().accept().begin(), job.checkpoint().accept().end()}));
  GoingOn out;
  out.job = job;
  if (manifest.steps_done == 0) return out;
  const bool any_isa = Accepts(job, "kernel_isa");
  const std::string isa = IsPortable(job)       ? kPortableKernels
                          : !kernel_isa.empty() ? kernel_isa
                          : any_isa             ? "whatever the wafers have"
                                                : "";
  Differences differences = DifferencesThatMatter(
      {manifest.job, manifest.kernel_isa, manifest.numerics}, {job, isa, Numerics()});
  std::vector<Difference> accepted;
  std::erase_if(differences.found, [&](const Difference& d) {
    if (!Accepts(job, d.key)) return false;
    accepted.push_back(d);
    return true;
  });
  if (!differences.found.empty()) return Refuse(job, differences.found);

  const bool new_rate = std::any_of(accepted.begin(), accepted.end(), [](const Difference& d) {
    return d.key == "training.optimizer" || absl::EndsWith(d.key, ".lr");
  });
  TakeOver(manifest, new_rate, out);
  for (const Difference& d : accepted) Accept(d, manifest.steps_done, out);
  if (IsPortable(job)) {
    out.kernel_isa = kPortableKernels;
  } else if (!any_isa && !IsPortable(manifest.job)) {
    out.kernel_isa = manifest.kernel_isa;
  }
  if (manifest.kernel_isa.empty()) differences.unknown.push_back("kernel_isa");
  std::sort(differences.unknown.begin(), differences.unknown.end());
  differences.unknown.erase(std::unique(differences.unknown.begin(), differences.unknown.end()),
                            differences.unknown.end());
  if (!differences.unknown.empty()) {
    out.notes.push_back(absl::StrCat(
        job.checkpoint().from(), " is of an earlier version and does not record ",
        absl::StrJoin(differences.unknown, ", "), ": whether they are the same was not checked"));
  }
  return out;
}

}  // namespace waferstream
