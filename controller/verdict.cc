#include "controller/verdict.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace waferstream {

absl::StatusOr<LiarsFound> FindLiars(const Dispute& first, const Dispute& again) {
  const std::optional<uint64_t> truth = Majority(again.votes);
  if (!truth.has_value()) {
    return absl::NotFoundError(
        absl::StrCat("micro-batch ", first.micro_batch, " of step ", first.step,
                     " came out different on every wafer (", Describe(again.votes),
                     "); add a wafer to settle it, or cordon the one that you distrust, "
                     "then resume"));
  }
  LiarsFound found;
  for (const Votes* votes : {&first.votes, &again.votes}) {
    for (const auto& [node_id, hash] : *votes) {
      if (hash != *truth) found.liars.insert(node_id);
    }
  }
  found.evidence =
      absl::StrFormat("micro-batch %d of step %d is %016x; first: %s; again: %s", first.micro_batch,
                      first.step, *truth, Describe(first.votes), Describe(again.votes));
  return found;
}

std::string ReportOf(const BadNumbers& first, const BadNumbers& again, int wafers) {
  std::string report = first.what;
  if (!first.wafer.empty()) absl::StrAppend(&report, " (on ", first.wafer, ")");
  const bool alone = wafers < 2;
  if (again.what.empty()) {
    absl::StrAppend(&report, "; computed again ", alone ? "there" : "on other wafers",
                    ", all numbers are finite: it was the machine");
  } else {
    absl::StrAppend(&report, "; computed again ",
                    alone ? "there (there is no other wafer)" : "on other wafers",
                    ", it comes out like that too: it is the model");
  }
  if (again.first.has_value()) {
    absl::StrAppend(&report, "; first in ", again.first->where(), ", micro-batch ",
                    again.first->micro_batch(), ", on ", again.first_wafer);
  }
  return absl::StrCat(report,
                      ". Resume as it is, with another learning rate, or without this batch");
}

}  // namespace waferstream
