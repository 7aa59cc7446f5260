#include "fabric/tested_fabric.h"

namespace waferstream {

FabricKind TestedFabric() { return FabricKind::kTcp; }

}  // namespace waferstream
