#include "base/status.h"

#include <cstdio>
#include <cstdlib>

namespace waferstream {

void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: bug: %s does not hold\n", file, line, condition);
  std::abort();
}

}  // namespace waferstream
