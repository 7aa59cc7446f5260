// The fabric of the simulation: carries frames and credits between hosts on virtual time, in order
// on each channel and in any order between them, and holds both ends to the core contract
// (node/role_core.h). A core that breaks it aborts the simulation:
//   - a frame is sent only on a channel of the sender's, in its direction, against a granted slot
//   of
//     its class that has reached the sender;
//   - never more slots are granted than the plan's window;
//   - a payload has the length that its header says and does not change until OnSent.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "node/role_core.h"
#include "plan/plan.h"
#include "sim/core_host.h"

namespace waferstream {

class VirtualFabric {
 public:
  VirtualFabric(const Plan& plan, SimWorld* world);

  // Before the first event: this host is its (role, process).
  void Attach(CoreHost* host);

  void Send(CoreHost* from, const SendAction& send);
  void Grant(CoreHost* from, const GrantAction& grant);

 private:
  // One direction of one channel.
  struct Wire {
    Endpoint sender;
    Endpoint receiver;
    Credit window;
    CreditBalance credit;             // has reached the sender and is not spent
    int granted[kSlotClasses] = {0};  // slots the receiver is ready to be sent into
    uint64_t frames = 0;
    int64_t last_arrival_ns = 0;
    int64_t last_credit_ns = 0;
  };

  Wire& WireFor(ChannelId channel, FrameKind kind);
  CoreHost* HostOf(const Endpoint& end) const;
  void Deliver(Wire& wire, const SendAction& send, uint64_t payload_hash);
  // A moment after now and after `last_ns`, which moves there.
  int64_t NextArrival(int64_t& last_ns);

  const Plan& plan_;
  SimWorld* const world_;
  std::map<std::pair<Role, int>, CoreHost*> hosts_;
  std::vector<std::array<Wire, 2>> wires_;  // by channel; tiles, gradients
};

}  // namespace waferstream
