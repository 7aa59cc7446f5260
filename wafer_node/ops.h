// Runs any op of the program, by its kind (ops/kinds.h).
#pragma once

#include "wafer_node/op_context.h"

namespace waferstream {

// For all resident micro-batches; the watchers see what it reads and writes.
void RunOp(const OpContext& c);

}  // namespace waferstream
