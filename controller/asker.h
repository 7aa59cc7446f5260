// Who asks the controller for something.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace waferstream {

// A person that was let in (rpc/doorkeeper.h). By default nobody in particular, who may do
// everything: there are no users.
struct Asker {
  std::string user = {};
  bool is_admin = true;

  // OK, or PERMISSION_DENIED: the job is another user's.
  absl::Status MayChange(const std::string& job_id, const std::string& owner) const;
};

}  // namespace waferstream
