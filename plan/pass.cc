#include "plan/pass.h"

#include "base/status.h"
#include "plan/job_kind.h"

namespace waferstream {
namespace {

std::optional<Pass> FirstOfStep(const Plan& plan, uint64_t step) {
  if (plan.is_generation()) {
    if (step >= plan.job.generate().tokens()) return std::nullopt;
    return Pass{PassKind::kGenerate, step, 0};
  }
  if (step >= plan.steps()) return std::nullopt;
  return Pass{PassKind::kForward, step, 0};
}

std::optional<Pass> AfterBackward(const Plan& plan, const Pass& pass) {
  if (static_cast<int>(pass.wave) + 1 < plan.waves) {
    return Pass{PassKind::kForward, pass.step, pass.wave + 1};
  }
  if (plan.ValidationDue(pass.step + 1)) return Pass{PassKind::kValidation, pass.step, 0};
  return FirstOfStep(plan, pass.step + 1);
}

std::optional<Pass> AfterValidation(const Plan& plan, const Pass& pass) {
  if (static_cast<int>(pass.wave) + 1 < plan.validation_waves) {
    return Pass{PassKind::kValidation, pass.step, pass.wave + 1};
  }
  return FirstOfStep(plan, pass.step + 1);
}

}  // namespace

std::optional<Pass> FirstPass(const Plan& plan, uint64_t start_step) {
  if (Evaluates(plan.job)) return Pass{PassKind::kValidation, 0, 0};
  if (!plan.is_generation() && start_step > 0 && plan.ValidationDue(start_step)) {
    return Pass{PassKind::kValidation, start_step - 1, 0};
  }
  return FirstOfStep(plan, start_step);
}

std::optional<Pass> NextPass(const Plan& plan, const Pass& pass) {
  switch (pass.kind) {
    case PassKind::kForward:
      return Pass{PassKind::kBackward, pass.step, pass.wave};
    case PassKind::kBackward:
      return AfterBackward(plan, pass);
    case PassKind::kValidation:
      return AfterValidation(plan, pass);
    case PassKind::kGenerate:
      return FirstOfStep(plan, pass.step + 1);
  }
  WS_CHECK(false && "unknown PassKind");
}

const std::vector<int>& StreamOf(const Plan& plan, PassKind kind) {
  return kind == PassKind::kBackward ? plan.program.backward_stream : plan.program.forward_stream;
}

bool WaitsForCommit(const Pass& pass) {
  const bool begins_step = pass.kind == PassKind::kForward && pass.wave == 0 && pass.step > 0;
  const bool begins_validation = pass.kind == PassKind::kValidation && pass.wave == 0;
  return begins_step || begins_validation;
}

}  // namespace waferstream
