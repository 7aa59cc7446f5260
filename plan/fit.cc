#include "plan/fit.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "plan/job_kind.h"
#include "plan/tables.h"

namespace waferstream {
namespace {

constexpr size_t kRegionsShown = 4;

int CeilDiv(int a, int b) { return (a + b - 1) / b; }

// In order of growing recomputation, and then of what is streamed. Without gradients there is
// nothing to recompute.
std::vector<KeepPolicy> Candidates(const Plan& plan) {
  if (!Trains(plan.job)) return {{RECOMPUTE_NONE}};
  std::vector<KeepPolicy> candidates;
  for (const KeepPolicy& policy :
       {KeepPolicy{RECOMPUTE_NONE}, KeepPolicy{RECOMPUTE_SELECTIVE}, KeepPolicy{RECOMPUTE_FULL},
        KeepPolicy{RECOMPUTE_FULL, /*holds_weights=*/false}}) {
    const Recompute asked = plan.job.training().recompute();
    if (asked == RECOMPUTE_AUTO || asked == policy.recompute) candidates.push_back(policy);
  }
  return candidates;
}

size_t SramBytes(const Plan& plan) { return plan.job.cluster().wafer().sram_bytes(); }

// Settles the waves for at most `resident` micro-batches on a wafer, evens them out, and lays the
// SRAM out for what is then really resident; whether that fits.
bool LayOut(Plan& plan, int resident) {
  const int wafers = plan.shape.wafers;
  plan.waves = CeilDiv(plan.leaves, wafers * resident);
  plan.resident_max = CeilDiv(CeilDiv(plan.leaves, plan.waves), wafers);
  plan.validation_waves = CeilDiv(plan.validation_leaves, wafers * plan.resident_max);
  plan.sram = LayOutSram(plan);
  return plan.sram.bytes <= SramBytes(plan);
}

// The most micro-batches in [0, most] that fit together; 0: not even one.
int MostResident(Plan& plan, int most) {
  int fits = 0;
  int too_many = most + 1;
  for (int probe = most; fits + 1 < too_many; probe = fits + (too_many - fits) / 2) {
    (LayOut(plan, probe) ? fits : too_many) = probe;
  }
  return fits;
}

std::string Bytes(size_t bytes) {
  return absl::StrFormat("%d bytes (%.1f MiB)", bytes, bytes / 1048576.0);
}

std::string LargestRegions(const SramLayout& layout) {
  std::vector<SramRegion> regions = layout.regions;
  std::stable_sort(regions.begin(), regions.end(),
                   [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  std::string text;
  size_t shown = 0;
  for (size_t i = 0; i < std::min(kRegionsShown, regions.size()); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : " + ", regions[i].name, " ", regions[i].bytes);
    shown += regions[i].bytes;
  }
  if (shown < layout.bytes) absl::StrAppend(&text, " + others ", layout.bytes - shown);
  return text;
}

// Lays out one resident micro-batch with the recomputation that needs the least SRAM. That need not
// be the most recomputation: it keeps fewer activations, but a whole layer's weights.
void LayOutLeast(Plan& plan) {
  const auto candidates = Candidates(plan);
  KeepPolicy best = candidates[0];
  size_t least = std::numeric_limits<size_t>::max();
  for (const KeepPolicy& policy : candidates) {
    SetPolicy(plan, policy);
    LayOut(plan, 1);
    if (plan.sram.bytes >= least) continue;
    least = plan.sram.bytes;
    best = policy;
  }
  SetPolicy(plan, best);
  LayOut(plan, 1);
}

// Whether one micro-batch of the changed job fits, and one to verify. That takes two wafers to
// know; more make no difference.
bool WouldFit(const JobSpec& job, int wafers) {
  auto plan = BuildTables(job, {.wafers = std::min(wafers, 2), .memoryx = 1, .swarmx = 1});
  if (!plan.ok()) return false;
  LayOutLeast(*plan);
  return plan->sram.bytes <= SramBytes(*plan);
}

// Those that a job may have, in ascending order.
std::vector<uint32_t> SmallerMicroBatches(const TrainingSpec& training) {
  std::vector<uint32_t> divisors;
  for (uint32_t micro = 1; micro < training.micro_batch(); ++micro) {
    const bool divides = training.global_batch() % micro == 0;
    if (divides && training.global_batch() / micro <= kLeavesMax) divisors.push_back(micro);
  }
  return divisors;
}

// Of ascending sizes, the largest that fits; 0: none. A smaller one needs less, so that few are
// tried.
template <typename Fits>
uint32_t LargestThatFits(const std::vector<uint32_t>& sizes, Fits fits) {
  const auto end = std::partition_point(sizes.begin(), sizes.end(), fits);
  return end == sizes.begin() ? 0 : *(end - 1);
}

// Recomputation, verification, and the largest smaller micro_batch, tile and context (the latter
// two halved), with each of which the job would fit.
std::vector<std::string> Remedies(const JobSpec& asked, int wafers) {
  std::vector<std::string> remedies;
  JobSpec job = asked;
  job.mutable_training()->set_recompute(RECOMPUTE_AUTO);
  if (asked.training().recompute() != RECOMPUTE_AUTO && WouldFit(job, wafers)) {
    remedies.push_back("training.recompute auto");
  }
  job = asked;
  job.mutable_training()->set_verify(0);
  if (asked.training().verify() > 0 && WouldFit(job, wafers)) {
    remedies.push_back("training.verify 0");
  }
  job = asked;
  const auto micro_fits = [&](uint32_t micro) {
    job.mutable_training()->set_micro_batch(micro);
    return WouldFit(job, wafers);
  };
  if (const uint32_t micro = LargestThatFits(SmallerMicroBatches(asked.training()), micro_fits)) {
    remedies.push_back(absl::StrCat("training.micro_batch at most ", micro));
  }
  job = asked;
  for (uint64_t tile = asked.training().tile_elements() / 2; tile >= 1; tile /= 2) {
    if (tile < asked.model().hidden()) break;  // a row is never cut
    job.mutable_training()->set_tile_elements(tile);
    if (!WouldFit(job, wafers)) continue;
    remedies.push_back(absl::StrCat("training.tile at most ", tile));
    break;
  }
  job = asked;
  for (uint32_t context = asked.model().context() / 2; context >= 1; context /= 2) {
    job.mutable_model()->set_context(context);
    if (!WouldFit(job, wafers)) continue;
    remedies.push_back(absl::StrCat("model.context at most ", context));
    break;
  }
  return remedies;
}

absl::Status Refusal(Plan& plan) {
  LayOutLeast(plan);
  std::string message = absl::StrCat(
      "cluster.wafer.sram: ", Bytes(SramBytes(plan)), " cannot hold one micro-batch",
      plan.verify_slots > 0 ? " and one to verify" : "", "; with recompute ",
      RecomputeName(plan.policy.recompute), " it needs ", Bytes(plan.sram.bytes), " = ",
      LargestRegions(plan.sram), "; to fit: cluster.wafer.sram at least ", plan.sram.bytes, "B");
  for (const std::string& remedy : Remedies(plan.job, plan.shape.wafers))
    absl::StrAppend(&message, ", or ", remedy);
  return absl::ResourceExhaustedError(message);
}

// The last thing that SRAM is for: logits cost the fewest products a byte. Who asks for
// recomputation asks for less memory.
void KeepLogits(Plan& plan) {
  const Recompute asked = plan.job.training().recompute();
  if (!Trains(plan.job) || (asked != RECOMPUTE_AUTO && asked != RECOMPUTE_NONE)) return;
  plan.policy.keeps_logits = true;
  SramLayout layout = LayOutSram(plan);
  plan.policy.keeps_logits = layout.bytes <= SramBytes(plan);
  if (plan.policy.keeps_logits) plan.sram = std::move(layout);
}

}  // namespace

void SetPolicy(Plan& plan, const KeepPolicy& policy) {
  plan.policy = policy;
  plan.program = BuildProgram(plan.graph, plan.parameters, plan.wire, policy);
  std::vector<const std::vector<Op>*> passes = {&plan.program.forward, &plan.program.backward};
  if (plan.is_generation()) passes = {&plan.program.generate};
  if (Evaluates(plan.job)) passes = {&plan.program.forward};
  plan.places = PlaceValues(plan.program, LifetimesOf(plan.program, passes), plan.tokens());
}

absl::Status FitIntoSram(Plan& plan) {
  const int share = CeilDiv(plan.leaves, plan.shape.wafers);
  std::optional<std::pair<KeepPolicy, int>> least;  // the first with which anything fits
  for (const KeepPolicy& policy : Candidates(plan)) {
    SetPolicy(plan, policy);
    const int resident = MostResident(plan, share);
    if (resident > 0 && !least.has_value()) least = {policy, resident};
    if (resident < share) continue;
    least = {policy, resident};
    break;
  }
  if (!least.has_value()) return Refusal(plan);
  if (plan.policy != least->first) SetPolicy(plan, least->first);
  WS_CHECK(LayOut(plan, least->second));
  KeepLogits(plan);
  return absl::OkStatus();
}

}  // namespace waferstream
