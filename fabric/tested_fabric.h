// What the tests of channels on a connection are of: each runs once for every kind, by what it is
// linked with (:tested_tcp, :tested_shm).
#pragma once

#include "fabric/fabric_kind.h"

namespace waferstream {

FabricKind TestedFabric();

}  // namespace waferstream
