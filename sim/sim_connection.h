// The fabric of the chaos simulation: one connection between two processes on virtual time.
//
// An adapter of fabric/channel.h, so roles see what they see of TCP: frames in order in each
// direction, held until the end is opened; what the system took before a close still arrives,
// unless the connection was cut; a frame that is damaged shows at its checksum, after BufferFor was
// asked with the header as it came. It holds both ends to the credit rule (wire_contract.h), and a
// payload to being unchanged until OnSent.
//
// Half of all connections are of one host, as fabric/shm_channel.h has them: what is lent on them,
// and lies in memory that can be shared, is read where it lies until its receiver returns it.
//
// Lifecycle: its ends own it; an end that is dropped without Close belonged to a process that has
// gone. Danger: a payload may go once it is OnSent or its end is closed, and not before.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/shared_segment.h"
#include "fabric/channel.h"
#include "sim/sim_process.h"
#include "sim/sim_world.h"
#include "sim/wire_contract.h"

namespace waferstream {

class SimConnection final : public std::enable_shared_from_this<SimConnection> {
 public:
  // `name` is for the trace, `job` whose frames it carries. Who accepts is the up end.
  SimConnection(SimWorld& world, std::string name, std::string job, SimProcess& up,
                SimProcess& down);

  // The two ends; each to be asked for once.
  std::shared_ptr<ChannelEnd> MakeEnd(bool up, ChannelTerms terms);

  const std::string& name() const { return name_; }
  bool works() const { return !deaf_ && !stalled_[false] && !stalled_[true]; }
  // Whether frames are on their way in this direction.
  bool busy(bool downwards) const { return !wires_[downwards].flying.empty(); }

  // -- faults ------------------------------------------------------------------------------------
  // Both ends find the connection broken, soon.
  void Cut();
  // Nothing arrives any more; both ends find out when they have waited for a keepalive.
  void Blackhole();
  // What travels in this direction is taken and never arrives. The rule of fabric/tcp_liveness.h:
  // the end that nothing comes to closes; the other hears that, because its direction works. The
  // signs of life themselves are not simulated: while a link works, they say nothing.
  void Stall(bool downwards);
  // One bit of the newest frame on its way is flipped. `busy` in this direction.
  void Corrupt(bool downwards, uint32_t bit);

 private:
  class End;
  struct Frame {
    FrameHeader header;
    SlotClass slot = kSmall;
    const std::byte* payload = nullptr;  // the sender's, until OnSent
    bool taken = false;                  // by the system, into `copy`
    std::vector<std::byte> copy;
    uint64_t payload_hash = 0;
    uint64_t token = 0;
    std::optional<uint32_t> flipped_bit;    // counted through header and payload
    std::shared_ptr<SharedSegment> memory;  // that the payload lies in; null: private
    bool lent = false;                      // it is read in place; else it is copied
  };
  // One direction; [1] is downwards.
  struct Wire {
    WireContract contract;
    std::deque<std::shared_ptr<Frame>> flying;
    int arrived = 0;  // the first ones of `flying`, which wait for the end to be opened
    uint64_t frames = 0;
    int64_t last_arrival_ns = 0;
    int64_t last_sent_ns = 0;
    int64_t last_credit_ns = 0;
    std::map<uint64_t, std::shared_ptr<Frame>> in_place = {};  // by sequence: not yet returned
  };

  void Send(End& from, const FrameHeader& header, const std::byte* payload, uint64_t token,
            bool lend);
  void Return(End& from, uint64_t sequence);
  void Returned(bool downwards, const Frame& frame);
  static void Take(Frame& frame);
  // Of the payload, or a copy of it.
  void CheckUntouched(const Frame& frame, const std::byte* payload) const;
  void Sent(bool downwards, Frame& frame);
  // The first of `flying` that has not arrived is here.
  void Arrive(bool downwards);
  // Gives the receiving end what has arrived, if it takes it.
  void HandOver(bool downwards);
  absl::Status Receive(End& to, const std::shared_ptr<Frame>& frame);
  absl::Status ReceiveDamaged(End& to, Frame& frame);
  void Grant(End& from, const Credit& credit);
  void GrantArrives(bool downwards, const Credit& credit);
  void Opened(bool up);

  static void DropUnsent(Wire& wire);
  void EndClosed(bool up);
  // The process of this end has gone.
  void EndDropped(bool up);
  // This end finds the connection broken after the delay.
  void Break(bool up, const absl::Status& why, int64_t delay_ns);
  // Until the next arrival behind the one at last_ns, which moves there.
  int64_t DelayBehind(int64_t& last_ns);
  static int64_t FrameNs(SimWorld& world);

  SimWorld& world_;
  const std::string name_;
  const std::string job_;
  const int64_t frame_ns_;  // typical
  const bool of_one_host_;
  SimProcess* const processes_[2];  // down, up
  std::weak_ptr<End> ends_[2];      // down, up
  Wire wires_[2];
  bool deaf_ = false;                 // nothing arrives any more
  bool stalled_[2] = {false, false};  // by direction; [1] is downwards
};

}  // namespace waferstream
