#include "node/node_metrics.h"

#include <utility>

namespace waferstream {
namespace {

prometheus::MetricFamily ByKind(const char* name, const char* help, const FabricCount& tiles,
                                const FabricCount& gradients, uint64_t FabricCount::*what) {
  prometheus::MetricFamily family = CounterFamily(name, help);
  AddSample(family, static_cast<double>(tiles.*what), {{"kind", "tile"}});
  AddSample(family, static_cast<double>(gradients.*what), {{"kind", "gradient"}});
  return family;
}

void AddTraffic(const FabricTraffic& traffic, MetricFamilies& families) {
  families.push_back(ByKind("fabric_received_bytes_total", "Payload received on the fabric",
                            traffic.tiles_in, traffic.gradients_in, &FabricCount::bytes));
  families.push_back(ByKind("fabric_sent_bytes_total", "Payload sent on the fabric",
                            traffic.tiles_out, traffic.gradients_out, &FabricCount::bytes));
  families.push_back(ByKind("fabric_received_frames_total", "Frames received on the fabric",
                            traffic.tiles_in, traffic.gradients_in, &FabricCount::frames));
  families.push_back(ByKind("fabric_sent_frames_total", "Frames sent on the fabric",
                            traffic.tiles_out, traffic.gradients_out, &FabricCount::frames));
}

void AddWafer(const NodeFacts& facts, MetricFamilies& families) {
  families.push_back(CounterOf("compute_seconds_total", "Time in kernels", facts.compute_seconds));
  families.push_back(CounterOf("tile_wait_seconds_total",
                               "Time in which there was nothing to compute for want of a tile",
                               facts.tile_wait_seconds));
  families.push_back(GaugeOf("sram_planned_bytes", "SRAM that the plan lays out",
                             static_cast<double>(facts.sram_planned_bytes)));
  families.push_back(GaugeOf("sram_peak_bytes", "SRAM that was used at most in this epoch",
                             static_cast<double>(facts.sram_peak_bytes)));
}

void AddTree(const NodeFacts& facts, MetricFamilies& families) {
  families.push_back(CounterOf("busy_seconds_total", "Time in the optimizer, or in reductions",
                               facts.busy_seconds));
  families.push_back(CounterOf("gradient_adds_total", "Gradient blocks added to their siblings",
                               static_cast<double>(facts.gradient_adds)));
}

}  // namespace

MetricFamilies NodeMetrics(Role role, const NodeFacts& facts) {
  MetricFamilies families;
  families.push_back(CounterOf("epochs_prepared_total", "Epochs that this node was prepared for",
                               static_cast<double>(facts.epochs_prepared)));
  families.push_back(CounterOf("steps_total",
                               "Steps that this node did its part of, those done again included",
                               static_cast<double>(facts.steps)));
  families.push_back(GaugeOf("resident_bytes", "Memory that this node allocated for its job",
                             static_cast<double>(facts.resident_bytes)));
  AddTraffic(facts.traffic, families);
  role == WAFER ? AddWafer(facts, families) : AddTree(facts, families);
  return families;
}

}  // namespace waferstream
