// All channel ends that one epoch has in a simulated process: what node/epoch_channels is in
// production, over SimFabric.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fabric/channel.h"
#include "node/role_core.h"
#include "plan/plan.h"
#include "proto/fabric.pb.h"
#include "proto/node.pb.h"
#include "sim/sim_fabric.h"

namespace waferstream {

// What happens on the channels.
class SimChannelEvents {
 public:
  virtual ~SimChannelEvents() = default;
  virtual absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId channel,
                                                         const FrameHeader& header) = 0;
  virtual absl::Status OnFrame(ChannelId channel, const FrameHeader& header) = 0;
  virtual void OnCredit(ChannelId channel, FrameKind kind, const Credit& credit) = 0;
  virtual void OnSent(uint64_t token) = 0;
  // A channel broke, not by Close. `peer` is the node id at its other end.
  virtual void OnBroken(ChannelId channel, const std::string& peer, const absl::Status& why) = 0;
};

// Lifecycle: Connect until all_open, Receive, Close. Must live until Close's callback, or until its
// process ends.
class SimChannels {
 public:
  using Done = std::function<void(const absl::Status&)>;

  SimChannels(ChaosWorld& world, SimFabric& fabric, SimProcess& process,
              const PrepareRequest& request, const Plan& plan, SimChannelEvents& events);
  ~SimChannels();

  // Dials what is not open and not being dialled. `done`: all ends are open, or a dial failed.
  void Connect(Done done);
  bool all_open() const;

  absl::Status Admit(const Hello& theirs) const;
  void Adopt(const Hello& theirs, std::shared_ptr<ChannelEnd> channel);

  void Receive();
  void Send(const SendAction& send);
  void Grant(const GrantAction& grant);

  // `closed` when no buffer is used any more, perhaps from inside this call. Called once.
  void Close(std::function<void()> closed);

 private:
  class End;

  void Dial(End& end);
  End* Find(ChannelId channel, bool up) const;
  void FinishConnect(const absl::Status& status);
  void OnEndClosed(End& end, const absl::Status& why);
  bool none_open() const;

  ChaosWorld& world_;
  SimFabric& fabric_;
  SimProcess& process_;
  const PrepareRequest& request_;
  const Plan& plan_;
  SimChannelEvents& events_;
  std::vector<std::unique_ptr<End>> ends_;
  std::vector<End*> up_ends_;    // by channel id; null: not here
  std::vector<End*> down_ends_;  // by channel id; null: not here
  std::vector<Done> connecting_;
  bool receiving_ = false;
  std::function<void()> closed_;
  // Gone with this object: what dials ask whether they are still wanted.
  const std::shared_ptr<bool> wanted_ = std::make_shared<bool>(true);
};

}  // namespace waferstream
