#include "plan/learning_rate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

double OwnLearningRate(const Optimizer& optimizer) {
  switch (optimizer.kind_case()) {
    case Optimizer::kAdamw:
      return optimizer.adamw().lr();
    case Optimizer::kSgd:
      return optimizer.sgd().lr();
    case Optimizer::kLion:
      return optimizer.lion().lr();
    case Optimizer::kAdafactor:
      return optimizer.adafactor().lr();
    case Optimizer::kMuon:
      return optimizer.muon().lr();
    case Optimizer::KIND_NOT_SET:
      return 0;
  }
  WS_CHECK(false && "unknown optimizer");
}

double PeakLearningRate(const TrainingSpec& training, uint64_t step) {
  double lr = OwnLearningRate(training.optimizer());
  for (const Amendment& amendment : training.amendments()) {
    if (amendment.from_step() <= step && amendment.lr() > 0) lr = amendment.lr();
  }
  return lr;
}

uint64_t WarmupOf(const Schedule& schedule) {
  if (schedule.has_cosine()) return schedule.cosine().warmup();
  if (schedule.has_linear()) return schedule.linear().warmup();
  if (schedule.has_wsd()) return schedule.wsd().warmup();
  return schedule.constant().warmup();
}

// How much of the way from step `from` on to step `to`, neither of them sooner or later, is done
// before step t.
double ShareDone(uint64_t t, uint64_t from, uint64_t to) {
  if (t < from || to <= from) return 0;
  return std::min(1.0, static_cast<double>(t - from) / static_cast<double>(to - from));
}

double OnLine(double from, double to, double share) { return from + share * (to - from); }

// From the peak at share 0 to min_lr at 1.
double OnCosine(double lr, double min_lr, double share) {
  return min_lr + 0.5 * (1 + std::cos(std::numbers::pi * share)) * (lr - min_lr);
}

// What the schedule makes of the peak `lr`.
double Scheduled(const TrainingSpec& training, double lr, uint64_t t) {
  const Schedule& schedule = training.schedule();
  const uint64_t warmup = WarmupOf(schedule), steps = training.steps();
  if (t < warmup) return lr * (static_cast<double>(t) + 1) / static_cast<double>(warmup);
  // A warm-up to the end is followed by nothing.
  if (steps <= warmup) return lr;
  if (schedule.has_cosine()) {
    return OnCosine(lr, schedule.cosine().min_lr(), ShareDone(t, warmup, steps));
  }
  if (schedule.has_linear()) {
    return OnLine(lr, schedule.linear().min_lr(), ShareDone(t, warmup, steps));
  }
  if (schedule.has_wsd()) {
    const Wsd& wsd = schedule.wsd();
    return OnLine(lr, wsd.min_lr(), ShareDone(t, steps - wsd.decay(), steps));
  }
  return lr;
}

}  // namespace

const char* OptimizerName(const Optimizer& optimizer) {
  switch (optimizer.kind_case()) {
    case Optimizer::kAdamw:
      return "adamw";
    case Optimizer::kSgd:
      return "sgd";
    case Optimizer::kLion:
      return "lion";
    case Optimizer::kAdafactor:
      return "adafactor";
    case Optimizer::kMuon:
      return "muon";
    case Optimizer::KIND_NOT_SET:
      return "none";
  }
  WS_CHECK(false && "unknown optimizer");
}

double LearningRateOf(const TrainingSpec& training, uint64_t step) {
  const double lr = Scheduled(training, PeakLearningRate(training, step), step);
  const Rewarm& rewarm = training.rewarm();
  if (!training.has_rewarm() || step < rewarm.from()) return lr;
  return lr * ShareDone(step + 1, rewarm.from(), rewarm.from() + rewarm.steps());
}

double LearningRateOfRest(const Muon& muon, double learning_rate) {
  return muon.rest().lr() * (learning_rate / muon.lr());
}

absl::Status CheckLearningRate(const TrainingSpec& training) {
  const uint64_t steps = training.steps();
  const Wsd& wsd = training.schedule().wsd();
  const uint64_t warm = std::min(wsd.warmup(), steps);
  if (training.schedule().has_wsd() && steps - warm < wsd.decay()) {
    return absl::InvalidArgumentError(
        absl::StrCat("training.schedule.wsd.decay: ", wsd.decay(), " is more than the ",
                     steps - warm, " steps after the warm-up of ", wsd.warmup(), ", of ", steps));
  }
  if (training.has_rewarm() && training.rewarm().from() >= steps) {
    return absl::InvalidArgumentError(
        absl::StrCat("training.rewarm.from: ", training.rewarm().from(),
                     " is not below training.steps: ", steps));
  }
  return absl::OkStatus();
}

}  // namespace waferstream
