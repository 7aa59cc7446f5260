// The whole main() of a node: flags, log, registration, serving, signals.
#pragma once

#include "node/role.h"

namespace waferstream {

// Runs until SIGTERM, SIGINT or SIGHUP, those that were ignored at its start excepted. Returns the
// process's exit code: 0 stopped by a signal, 1 refused (another protocol version, a port in use),
// 2 wrong flags, 4 the controller is gone.
int RunNode(int argc, char** argv, NodeRole& role);

}  // namespace waferstream
