// How much of a cluster a user may have.
#pragma once

#include <map>
#include <string>

namespace waferstream {

struct Quota {
  int wafers = 0;  // of this user's jobs together, at a time; 0: no bound
  int queued = 0;  // jobs that wait; 0: no bound
};

// By user; who is not there has no bound.
using Quotas = std::map<std::string, Quota>;

}  // namespace waferstream
