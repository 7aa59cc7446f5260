#include "base/errno_status.h"

#include <system_error>

#include "absl/strings/str_cat.h"

namespace waferstream {

absl::Status ErrnoStatus(int error, absl::string_view what) {
  if (error == 0) {
    return absl::UnknownError(absl::StrCat(what, ": failed, and the system does not say why"));
  }
  return absl::Status(absl::ErrnoToStatusCode(error),
                      absl::StrCat(what, ": ", std::generic_category().message(error)));
}

}  // namespace waferstream
