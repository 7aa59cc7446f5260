// The disk of the production shell: the operating system's.
#pragma once

#include "checkpoint/disk.h"

namespace waferstream {

// The one and only. Never a shared mapping: on a network file system a dirty page would carry a
// neighbour's bytes back, and a full disk would be a signal instead of an error.
Disk& PosixDisk();

}  // namespace waferstream
