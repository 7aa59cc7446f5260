#include "controller/resumptions.h"

#include "absl/strings/str_cat.h"

namespace waferstream {
namespace {

std::string How(double lr, bool skip_batch) {
  return absl::StrCat(lr > 0 ? absl::StrCat(" with learning rate ", lr) : "",
                      skip_batch ? " without the batch" : "");
}

}  // namespace

std::string HowResumed(const ResumeRequest& request) {
  return How(request.lr(), request.skip_batch());
}

absl::StatusOr<bool> WasResumedBy(const ResumeRequest& request, const JobMemory& memory,
                                  const std::string& job_id) {
  const std::string& request_id = request.request_id();
  if (request_id.empty()) return false;
  for (const JobMemory::Resumption& before : memory.resumptions()) {
    if (before.request_id() != request_id) continue;
    if (before.lr() == request.lr() && before.skip_batch() == request.skip_batch()) return true;
    return absl::AlreadyExistsError(absl::StrCat("request id ", request_id, " resumed ", job_id,
                                                 How(before.lr(), before.skip_batch()), " before"));
  }
  return request_id == memory.resume_request_id();
}

void NoteResumption(const ResumeRequest& request, JobMemory& memory) {
  JobMemory::Resumption* resumption = memory.add_resumptions();
  resumption->set_request_id(request.request_id());
  resumption->set_lr(request.lr());
  resumption->set_skip_batch(request.skip_batch());
}

}  // namespace waferstream
