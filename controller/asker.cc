#include "controller/asker.h"

#include "absl/strings/str_cat.h"

namespace waferstream {

absl::Status Asker::MayChange(const std::string& job_id, const std::string& owner) const {
  if (is_admin || owner == user) return absl::OkStatus();
  const std::string whose = owner.empty() ? "nobody's" : absl::StrCat("a job of ", owner);
  return absl::PermissionDeniedError(absl::StrCat("denied: ", job_id, " is ", whose, ", and ", user,
                                                  " may only change jobs of their own"));
}

}  // namespace waferstream
