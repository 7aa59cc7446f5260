#include "plan/verify.h"

#include <algorithm>
#include <optional>

#include "base/mark.h"
#include "base/philox.h"

namespace waferstream {
namespace {

struct Sample {
  uint32_t draw;  // uniform among the sampled ones too
  int leaf;
  int owner;
  friend auto operator<=>(const Sample&, const Sample&) = default;
};

// The sampled leaves of a wave, in an order of chance.
std::vector<Sample> SamplesOf(const Plan& plan, uint64_t step, int wave) {
  const TrainingSpec& training = plan.job.training();
  std::vector<Sample> samples;
  for (int wafer = 0; wafer < plan.shape.wafers; ++wafer) {
    const LeafSpan own = plan.TrainingLeaves(wave, wafer);
    for (int leaf = own.first; leaf < own.first + own.count; ++leaf) {
      const uint32_t draw = Philox(training.seed(), Purpose::kVerify, step, leaf)[0];
      if (UnitInterval(draw) <= training.verify()) samples.push_back({draw, leaf, wafer});
    }
  }
  std::sort(samples.begin(), samples.end());
  return samples;
}

// The first wafer after `owner` that is not busy; nullopt: there is none but itself.
std::optional<int> CheckerFor(int owner, const std::vector<bool>& busy) {
  const int wafers = static_cast<int>(busy.size());
  for (int distance = 1; distance < wafers; ++distance) {
    const int wafer = (owner + distance) % wafers;
    if (busy[wafer]) continue;
    if (distance > 1) WS_MARK("verify: the next wafer checks already");
    return wafer;
  }
  WS_MARK("verify: no wafer is left to check");
  return std::nullopt;
}

std::optional<Sample> DisputedIn(const Plan& plan, int wave,
                                 const std::vector<uint32_t>& disputed) {
  for (int wafer = 0; wafer < plan.shape.wafers; ++wafer) {
    const LeafSpan own = plan.TrainingLeaves(wave, wafer);
    for (int leaf = own.first; leaf < own.first + own.count; ++leaf) {
      if (std::find(disputed.begin(), disputed.end(), leaf) == disputed.end()) continue;
      return Sample{0, leaf, wafer};
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<Check> ChecksOf(const Plan& plan, uint64_t step, int wave,
                            const std::vector<uint32_t>& disputed) {
  std::vector<Check> checks;
  if (plan.verify_slots == 0) return checks;
  if (const auto dispute = DisputedIn(plan, wave, disputed); dispute.has_value()) {
    for (int wafer = 0; wafer < plan.shape.wafers; ++wafer) {
      if (wafer != dispute->owner) checks.push_back({dispute->leaf, dispute->owner, wafer});
    }
    return checks;
  }
  std::vector<bool> busy(plan.shape.wafers, false);
  for (const Sample& sample : SamplesOf(plan, step, wave)) {
    const std::optional<int> checker = CheckerFor(sample.owner, busy);
    if (!checker.has_value()) continue;
    busy[*checker] = true;
    checks.push_back({sample.leaf, sample.owner, *checker});
  }
  return checks;
}

double VerifiedShare(const Plan& plan) {
  if (plan.verify_slots == 0) return 0;
  const double checkers = double{1} * plan.shape.wafers * plan.waves;
  return std::min(plan.job.training().verify(), checkers / plan.leaves);
}

}  // namespace waferstream
