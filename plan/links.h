// What a plan moves over the network: bytes a step of every process, and the time that takes on
// links of a stated rate. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/plan.h"

namespace waferstream {

struct PassBytes {
  uint64_t sent = 0;  // to other processes
  uint64_t received = 0;
  uint64_t inside = 0;  // between two tree nodes of this process; on no link
};

// Payload bytes of one training step, validation and copies of shards not counted; of a
// generation: of one token, of an evaluation: of one wave, all of them forward. Frame headers (64 B
// a tile), TLS and TCP come on top: on Ethernet 3 to 5 %.
struct LinkTraffic {
  Role role = MEMORYX;
  int process = 0;
  PassBytes forward = {};   // of all waves
  PassBytes backward = {};  // with the gradients

  uint64_t sent() const { return forward.sent + backward.sent; }
  uint64_t received() const { return forward.received + backward.received; }
  uint64_t inside() const { return forward.inside + backward.inside; }
};

// Of every process: MemoryX, SwarmX, wafers. With V waves, F and R the bytes of plane p's tiles in
// the forward and the backward stream, G those of one block of each of its gradients, and b(end)
// the blocks of a gradient that the subtree below an end delivers in a step, a channel of plane p
// carries
//   forward   V * F down
//   backward  V * R down, G * b(down end) up
// where a root gets from one MemoryX the tiles that this one streams, and gives it the gradients of
// those that it holds. A process sends and receives the sum over its channels.
std::vector<LinkTraffic> LinksOf(const Plan& plan);

// The time of a step where links are the bottleneck, in bytes through one direction of one link:
// each pass takes as long as whoever sends or receives most in it, and the backward follows the
// forward. So a step takes bytes() / rate seconds where each process has a link of its own with
// this rate in each direction.
struct LinkBound {
  uint64_t forward = 0;
  uint64_t backward = 0;
  uint64_t bytes() const { return forward + backward; }
};
LinkBound LinkBoundOf(const std::vector<LinkTraffic>& links);

}  // namespace waferstream
