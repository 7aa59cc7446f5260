// Processes by descriptor: one means one process, whatever happens to its number.
#pragma once

// <sys/pidfd.h> of glibc 2.36 forgets to say that its functions are C.
extern "C" {
#include <sys/pidfd.h>
}

#include "absl/time/time.h"
#include "base/fd.h"

namespace waferstream {

// Whether the process ends within `limit`; waits for it. A child that ended and was not reaped yet
// has ended.
bool EndsWithin(const Fd& pidfd, absl::Duration limit);

}  // namespace waferstream
