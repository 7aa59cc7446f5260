#include "wafer_node/wave.h"

#include <algorithm>

#include "plan/verify.h"

namespace waferstream {
namespace {

void AddChecks(const Plan& plan, int wafer, const std::vector<uint32_t>& disputed, Wave& wave) {
  const int number = static_cast<int>(wave.pass.wave);
  for (const Check& check : ChecksOf(plan, wave.pass.step, number, disputed)) {
    if (check.owner == wafer) wave.hashed[check.leaf - wave.leaves.first] = true;
    if (check.checker == wafer) wave.checked = check.leaf;
  }
  if (wave.checked.has_value()) wave.hashed.push_back(true);
}

}  // namespace

std::span<const Document> Wave::DocumentsOf(int resident) const {
  const auto of = [](int r) { return [r](const Document& d) { return d.resident < r; }; };
  const auto first = std::partition_point(documents.begin(), documents.end(), of(resident));
  const auto end = std::partition_point(first, documents.end(), of(resident + 1));
  return {first, end};
}

const Document* Wave::DocumentOf(int resident, int64_t row) const {
  const std::span<const Document> all = DocumentsOf(resident);
  return &*std::partition_point(all.begin(), all.end(), [row](const Document& document) {
    return document.rows.first + document.rows.count <= row;
  });
}

Wave MakeWave(const Plan& plan, const Pass& pass, int wafer,
              const std::vector<uint32_t>& disputed) {
  const int number = static_cast<int>(pass.wave);
  Wave wave;
  wave.pass = pass;
  wave.leaves = pass.kind == PassKind::kValidation ? plan.ValidationLeaves(number, wafer)
                                                   : plan.TrainingLeaves(number, wafer);
  wave.hashed.assign(wave.leaves.count, false);
  if (pass.kind == PassKind::kForward || pass.kind == PassKind::kBackward) {
    AddChecks(plan, wafer, disputed, wave);
  }
  if (pass.kind == PassKind::kBackward) {
    wave.staging = ScheduleStaging(wave.leaves, plan.leaves);
  }
  return wave;
}

}  // namespace waferstream
