// The two neighbours of the trees, for tests: a MemoryX and a wafer that do nothing but stream.
//
// They walk the plan with loops of their own, know no commit and send as far ahead as credit lets
// them, and make payloads up: a tile's bytes and a micro-batch's gradient follow from their names.
#pragma once

#include <deque>
#include <map>
#include <vector>

#include "core/role_core.h"
#include "plan/plan.h"

namespace waferstream {

// All frames of the job on one plane, in order: tiles (of one MemoryX process, or of all when
// process < 0); gradient blocks that the subtree of `down` sends up (to one MemoryX process, or to
// all).
std::vector<FrameHeader> TileFrames(const Plan& plan, int plane, int process);
std::vector<FrameHeader> GradientFrames(const Plan& plan, int plane, const Endpoint& down,
                                        int process);

// The made-up payload of a frame. A gradient's is the canonical sum over its range, taken straight
// from the definition.
std::vector<std::byte> PayloadOf(const Plan& plan, const FrameHeader& header);

// One end of some channels: sends the given frames, expects the given frames. A frame that differs
// in a byte from what is expected aborts.
class FakePeer final : public RoleCore {
 public:
  struct Port {
    ChannelId channel;
    FrameKind receives;
    Credit window;
    std::vector<FrameHeader> to_send;
    std::vector<FrameHeader> to_receive;
  };

  FakePeer(const Plan& plan, std::vector<Port> ports);
  static FakePeer Memoryx(const Plan& plan, int process);
  static FakePeer Wafer(const Plan& plan, int wafer);

  bool done() const;

  void Start(Turn& turn) override;
  absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId channel,
                                                 const FrameHeader& header) override;
  absl::Status OnFrame(ChannelId channel, const FrameHeader& header, const std::byte* payload,
                       Turn& turn) override;
  void OnCredit(ChannelId channel, FrameKind kind, const Credit& credit, Turn& turn) override;
  void OnSent(uint64_t token, Turn& turn) override;
  // A received frame has been looked at, at its leisure: its slot is free.
  absl::Status OnComputeDone(uint64_t id, const absl::Status& status, Turn& turn) override;

 private:
  struct State {
    Port port;
    CreditBalance credit;
    size_t sent = 0;
    size_t received = 0;
  };

  SlotClass SlotOf(const FrameHeader& header) const { return plan_->tiles[header.tile].slot; }
  void Send(State& state, Turn& turn);

  const Plan* plan_;
  std::map<ChannelId, State> ports_;
  std::map<uint64_t, std::vector<std::byte>> in_flight_;  // by token
  uint64_t tokens_ = 0;
  std::vector<std::byte> buffer_;
  std::deque<std::pair<ChannelId, SlotClass>> to_grant_;
};

}  // namespace waferstream
