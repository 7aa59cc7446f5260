// What a node has done since its process began, counted where it passes by anyway.
#pragma once

#include <cstdint>

#include "node/epoch_channels.h"
#include "proto/node.pb.h"

namespace waferstream {

struct NodeFacts {
  uint64_t epochs_prepared = 0;
  uint64_t steps = 0;            // reported; those that were done again count again
  uint64_t gradient_adds = 0;    // sibling blocks summed here
  double busy_seconds = 0;       // optimizer (MemoryX) or reduction (SwarmX) work
  double compute_seconds = 0;    // kernels (wafer)
  double tile_wait_seconds = 0;  // waited for a tile, nothing to compute (wafer)
  // Of the epoch that is prepared, else 0.
  uint64_t resident_bytes = 0;  // allocated for the job
  uint64_t sram_planned_bytes = 0;
  uint64_t sram_peak_bytes = 0;
  FabricTraffic traffic;
};

// Role: adds up over epochs what one epoch's reports and channels say. Lives on the node's loop.
class NodeCounters {
 public:
  void OnPrepared(const PrepareReply& reply);
  void OnReport(const NodeReport& report);
  // The epoch is gone; its channels carried this.
  void OnReleased(const FabricTraffic& traffic);

  // `traffic`: of the present epoch's channels, so far.
  NodeFacts Facts(const FabricTraffic& traffic) const;

 private:
  // Counters in reports are totals since Prepare.
  void Take(const TrafficCounters& counters);
  void Take(const WaferStep& step);

  NodeFacts facts_;         // epochs that are gone, and what is counted step by step
  TrafficCounters latest_;  // of the present epoch
};

}  // namespace waferstream
