#include "fabric/tested_fabric.h"

namespace waferstream {

// As nodes have it: where a test puts a proxy of its own between the ends, they meet over TCP.
FabricKind TestedFabric() { return FabricKind::kAuto; }

}  // namespace waferstream
