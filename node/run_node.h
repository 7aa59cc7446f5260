// The whole main() of a node that a command line describes.
#pragma once

#include "node/role.h"

namespace waferstream {

// Settles the process, reads its flags and serves (node/serve_node.h). Returns the exit code: of
// that, or 2 for wrong flags.
int RunNode(int argc, char** argv, NodeRole& role);

}  // namespace waferstream
