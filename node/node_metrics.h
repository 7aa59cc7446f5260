// A node's metrics.
#pragma once

#include "base/metrics.h"
#include "node/node_counters.h"

namespace waferstream {

MetricFamilies NodeMetrics(Role role, const NodeFacts& facts);

}  // namespace waferstream
