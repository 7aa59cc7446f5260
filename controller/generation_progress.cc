#include "controller/generation_progress.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace waferstream {

bool GenerationProgress::done() const {
  const GenerateSpec& spec = plan_.job.generate();
  if (step() == 0) return spec.tokens() == 0;
  const uint32_t last = status_.generated(status_.generated_size() - 1);
  return step() == spec.tokens() ||
         std::find(spec.stop().begin(), spec.stop().end(), last) != spec.stop().end();
}

absl::Status GenerationProgress::OnReport(const PlacedProcess& from, const NodeReport& report,
                                          RunTurn& turn) {
  if (!report.has_generated_token()) {
    return absl::InvalidArgumentError(
        absl::StrCat(from.node_id, " sent a report that a generation job does not have"));
  }
  const GeneratedToken& token = report.generated_token();
  if (token.index() > step() || token.index() >= plan_.job.generate().tokens()) {
    return absl::InvalidArgumentError(absl::StrCat(from.node_id, " sent token ", token.index(),
                                                   ", but token ", step(), " of ",
                                                   plan_.job.generate().tokens(), " is next"));
  }
  if (token.index() < step()) {
    const uint32_t known = status_.generated(static_cast<int>(token.index()));
    if (known == token.token()) return absl::OkStatus();
    return absl::InternalError(absl::StrCat(from.node_id, " generated ", token.token(),
                                            " as token ", token.index(), ", another node ", known));
  }
  status_.add_generated(token.token());
  *status_.mutable_logits() = token.logits();
  status_.set_step(step());
  turn.publish = true;
  return absl::OkStatus();
}

}  // namespace waferstream
