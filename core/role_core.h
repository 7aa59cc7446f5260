// What the three node roles have in common: a core without I/O.
//
// A core is a state machine for one epoch of one job. It takes events and says what it wants done.
// It owns no thread, socket, clock, file or random source; the shell around it (node/node_shell.h)
// does. All calls come one at a time from one loop.
//
// Credit rule: a core sends a tile or gradient frame only against a slot its peer granted
// (OnCredit), one slot of the tile's class a frame. The receiving core grants a slot when a receive
// buffer is free. Initial grants are made in Start(). So BufferFor() always has room, unless the
// peer broke the rule.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/parallel.h"
#include "fabric/frame.h"
#include "plan/plan.h"
#include "proto/node.pb.h"

namespace waferstream {

using ChannelId = int;  // index in Plan::channels

// Send a tile or gradient. The payload stays valid and unchanged until OnSent(token).
struct SendAction {
  ChannelId channel;
  FrameHeader header;  // length = payload bytes; sequence and crc are the fabric's
  const std::byte* payload;
  uint64_t token;
  // Whether the receiver may read it in place for as long as it likes, and OnSent wait for that. A
  // core that lends must be able to go on until then (docs/adr/0039-shm-fabric.md).
  bool lend = false;
};

// The payload of the frame with this sequence, which OnFrame showed outside the buffer, is not read
// any more. Of each such frame once, before its slot is granted again; `kind` as in GrantAction.
struct ReturnAction {
  ChannelId channel;
  FrameKind kind;
  uint64_t sequence;
};

// Grant the peer slots for frames of `kind`: the down end of a channel receives (and grants for)
// kTile, the up end kGradient. The kind is what tells the ends apart when one process holds both,
// which happens with two tree nodes in one SwarmX process.
struct GrantAction {
  ChannelId channel;
  FrameKind kind;
  Credit credit;
};

// Where a computation runs. Work of one lane runs one after the other, in order; lanes run beside
// each other. kCompute has the role's kernel threads; kDisk has one thread that may block.
enum class Lane { kCompute = 0, kDisk = 1, kLanes = 2 };

// Run `work` on a lane, then OnComputeDone(id, its status). It may touch only what the core leaves
// alone until then.
struct ComputeAction {
  Lane lane;
  uint64_t id;
  std::function<absl::Status(Parallel&)> work;
  // What it takes on one thread, roughly, if it cannot block: what is little is not worth a
  // thread's waking. 0: not known.
  uint64_t about_ns = 0;
  const char* what = "";  // for a trace; lives as long as the core
};

// The core had nothing to do since then, because something was not here: for a trace.
struct WaitedAction {
  const char* why;
  const char* what;  // that would have been done; lives as long as the core
  double since_s;
};

// Tell the controller. The shell fills in node_id, job_id, epoch and sequence.
struct ReportAction {
  NodeReport report;
};

using Action =
    std::variant<SendAction, GrantAction, ReturnAction, ComputeAction, WaitedAction, ReportAction>;

// One call into a core: when it happens, and what the core wants done, in order.
struct Turn {
  double now_s = 0;  // monotonic seconds
  std::vector<Action> actions;
};

class RoleCore {
 public:
  virtual ~RoleCore() = default;

  // All channels are open. Called once, before any other event.
  virtual void Start(Turn& turn) = 0;

  // A frame of this role's direction is about to be received: where its payload goes (exactly
  // header.length bytes). Any error is a protocol violation; the channel is torn down.
  virtual absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId channel,
                                                         const FrameHeader& header) = 0;
  // The payload is in the buffer that BufferFor gave; or, if it was lent, perhaps at another
  // address, where it may be read until ReturnAction. Frames of one channel arrive in order.
  virtual absl::Status OnFrame(ChannelId channel, const FrameHeader& header,
                               const std::byte* payload, Turn& turn) = 0;

  // The peer granted slots for frames of `kind`: kTile to the up end of a channel, kGradient to the
  // down end.
  virtual void OnCredit(ChannelId channel, FrameKind kind, const Credit& credit, Turn& turn) = 0;
  // The fabric is done with the payload of the SendAction with this token.
  virtual void OnSent(uint64_t token, Turn& turn) = 0;
  // `status` is what the work returned. An error returned from here ends the epoch with a
  // NodeFault.
  virtual absl::Status OnComputeDone(uint64_t id, const absl::Status& status, Turn& turn) = 0;

  // MemoryX only.
  virtual absl::Status OnCommit(const CommitRequest&, Turn&) {
    return absl::InvalidArgumentError("Commit is for MemoryX nodes");
  }
};

}  // namespace waferstream
