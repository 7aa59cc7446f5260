// What a plan moves over the network: bytes a step of every process, and the time that takes on
// links of a stated rate. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/plan.h"

namespace waferstream {

// Payload bytes of one training step, validation and copies of shards not counted; of a
// generation: of one token. Frame headers (64 B a tile), TLS and TCP come on top.
struct LinkTraffic {
  Role role = MEMORYX;
  int process = 0;
  uint64_t sent = 0;  // to other processes
  uint64_t received = 0;
  uint64_t inside = 0;  // between two tree nodes of this process; on no link
};

// Of every process: MemoryX, SwarmX, wafers. With V waves, F and R the bytes of plane p's tiles in
// the forward and the backward stream, G those of one block of each of its gradients, and b(end)
// the blocks of a gradient that the subtree below an end delivers in a step, a channel of plane p
// carries
//   down  V * (F + R)     at a root from one MemoryX: of the tiles that this one streams
//   up    G * b(down end) to one MemoryX: of the tiles that this one holds
// and a process sends and receives the sum over its channels.
std::vector<LinkTraffic> LinksOf(const Plan& plan);

// The process that needs its link longest, one of `links`: a step takes at least
// max(sent, received) / rate seconds, where each process has a link of its own with this rate in
// each direction.
const LinkTraffic& BusiestLink(const std::vector<LinkTraffic>& links);
uint64_t BusierDirection(const LinkTraffic& link);

}  // namespace waferstream
