// The controller's metrics.
#pragma once

#include <cstdint>

#include "base/metrics.h"
#include "controller/status_board.h"
#include "proto/controller.pb.h"

namespace waferstream {

// Jobs of which there are samples of their own: the oldest that are not over. What a Prometheus has
// to keep stays bounded, however many jobs are queued.
inline constexpr int kJobsWithMetrics = 32;

// `commits`: made durable since the process began.
MetricFamilies ControllerMetrics(const StatusBoard& board, const NodeList& nodes, uint64_t commits);

}  // namespace waferstream
