// All channel ends that one epoch has in this process.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/role_core.h"
#include "fabric/channel.h"
#include "fabric/fabric.h"
#include "plan/plan.h"
#include "proto/fabric.pb.h"
#include "proto/node.pb.h"

namespace waferstream {

// What happens on the channels; the core's view of it.
class ChannelEvents {
 public:
  virtual ~ChannelEvents() = default;
  virtual absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId channel,
                                                         const FrameHeader& header) = 0;
  virtual absl::Status OnFrame(ChannelId channel, const FrameHeader& header,
                               const std::byte* payload) = 0;
  virtual void OnCredit(ChannelId channel, FrameKind kind, const Credit& credit) = 0;
  virtual void OnSent(uint64_t token) = 0;
  // A channel broke, not by Close. `peer` is the node id at its other end.
  virtual void OnBroken(ChannelId channel, const std::string& peer, const absl::Status& why) = 0;
};

// Of frames of one kind, in one direction.
struct FabricCount {
  uint64_t frames = 0;
  uint64_t bytes = 0;  // payload
};
struct FabricTraffic {
  FabricCount tiles_in, tiles_out, gradients_in, gradients_out;
  FabricTraffic& operator+=(const FabricTraffic& other);
};
// One line: payload bytes by direction.
std::string Describe(const FabricTraffic& traffic);

// Role: opens an epoch's channels (dials those whose down end is this process, admits those whose
// up end is), says which end an action or event belongs to, counts payload bytes. Lifecycle:
// Connect, until all_open; Receive; Close. A process may hold both ends of a channel: it then dials
// itself. Lives on the loop. Danger: must live until Close's callback, and as long as the core:
// payloads that were lent to it are mapped until then.
class EpochChannels {
 public:
  using Done = std::function<void(const absl::Status&)>;

  // All must outlive this object.
  EpochChannels(Fabric& fabric, const PrepareRequest& request, const Plan& plan,
                ChannelEvents& events);
  ~EpochChannels();

  // Dials what is not open and not being dialled. `done`: all ends are open, or a dial failed;
  // what is open then stays open for another Connect.
  void Connect(absl::Duration timeout, Done done);
  bool all_open() const;
  // For messages: which channels are not open, and whose they are.
  std::string Missing() const;

  // An incoming connection, in two steps: whether it is wanted, and then the channel.
  absl::StatusOr<ChannelTerms> Admit(const Hello& theirs) const;
  void Adopt(const Hello& theirs, std::shared_ptr<ChannelEnd> channel);

  // All ends begin to receive. all_open.
  void Receive();
  void Send(const SendAction& send);
  void Grant(const GrantAction& grant);
  void Return(const ReturnAction& done);

  // Ends every channel and dial; `closed` when the fabric uses no buffer any more, perhaps from
  // inside this call. Waiting Connects end with CANCELLED. Called once.
  void Close(std::function<void()> closed);

  FabricTraffic Traffic() const;
  // For the log, of those that are open: "shm 3, tcp 1".
  std::string Carriers() const;

 private:
  class End;

  void AddEnds(const Channel& channel);
  Hello HelloFor(const End& end) const;
  void Dial(End& end, absl::Duration timeout);
  End* Find(ChannelId channel, bool up) const;
  void FinishConnect(const absl::Status& status);
  void OnEndClosed(End& end, const absl::Status& why);

  Fabric& fabric_;
  const PrepareRequest& request_;
  const Plan& plan_;
  ChannelEvents& events_;
  std::vector<std::unique_ptr<End>> ends_;
  std::vector<End*> up_ends_;    // by channel id; null: not here
  std::vector<End*> down_ends_;  // by channel id; null: not here
  std::vector<Done> connecting_;
  bool receiving_ = false;
  std::function<void()> closed_;
};

}  // namespace waferstream
