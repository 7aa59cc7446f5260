#include "node/node_counters.h"

#include <algorithm>

namespace waferstream {

void NodeCounters::OnPrepared(const PrepareReply& reply) {
  ++facts_.epochs_prepared;
  facts_.resident_bytes = reply.resident_bytes();
  facts_.sram_planned_bytes = reply.sram_planned_bytes();
}

void NodeCounters::OnReport(const NodeReport& report) {
  switch (report.what_case()) {
    case NodeReport::kGradientsReady:
      return Take(report.gradients_ready().traffic());
    case NodeReport::kSwarmxStep:
      return Take(report.swarmx_step().traffic());
    case NodeReport::kWaferStep:
      Take(report.wafer_step());
      return Take(report.wafer_step().traffic());
    default:
      return;
  }
}

void NodeCounters::Take(const TrafficCounters& counters) {
  ++facts_.steps;
  latest_ = counters;
}

void NodeCounters::Take(const WaferStep& step) {
  facts_.compute_seconds += step.compute_seconds();
  facts_.tile_wait_seconds += step.exposed_seconds();
  facts_.sram_peak_bytes = std::max<uint64_t>(facts_.sram_peak_bytes, step.sram_peak_bytes());
}

void NodeCounters::OnReleased(const FabricTraffic& traffic) {
  facts_ = Facts(traffic);
  latest_.Clear();
  facts_.resident_bytes = facts_.sram_planned_bytes = facts_.sram_peak_bytes = 0;
}

NodeFacts NodeCounters::Facts(const FabricTraffic& traffic) const {
  NodeFacts facts = facts_;
  facts.traffic += traffic;
  facts.busy_seconds += latest_.busy_seconds();
  facts.gradient_adds += latest_.gradient_adds();
  return facts;
}

}  // namespace waferstream
