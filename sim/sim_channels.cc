#include "sim/sim_channels.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

const Member& MemberOf(const Endpoint& end, const Roster& roster) {
  switch (end.role) {
    case MEMORYX:
      return roster.memoryx(end.process);
    case SWARMX:
      return roster.swarmx(end.process);
    default:
      return roster.wafers(end.process);
  }
}

bool IsHere(const Endpoint& end, const PrepareRequest& request) {
  return end.role == request.role() && end.process == static_cast<int>(request.index());
}

}  // namespace

class SimChannels::End final : public ChannelHandler {
 public:
  End(SimChannels& all, const Channel& channel, bool up) : all_(all), channel_(channel), up_(up) {}

  absl::StatusOr<std::span<std::byte>> BufferFor(const FrameHeader& header) override {
    if (header.kind == (up_ ? FrameKind::kGradient : FrameKind::kTile)) {
      return all_.events_.BufferFor(channel_.id, header);
    }
    return absl::InvalidArgumentError("a frame sent in the wrong direction");
  }
  absl::Status OnFrame(const FrameHeader& header) override {
    return all_.events_.OnFrame(channel_.id, header);
  }
  void OnCredit(const Credit& credit) override {
    all_.events_.OnCredit(channel_.id, up_ ? FrameKind::kTile : FrameKind::kGradient, credit);
  }
  void OnSent(uint64_t token) override { all_.events_.OnSent(token); }
  void OnClosed(const absl::Status& why) override { all_.OnEndClosed(*this, why); }

  int channel() const { return channel_.id; }
  bool up() const { return up_; }
  const Member& peer() const {
    return MemberOf(up_ ? channel_.down : channel_.up, all_.request_.roster());
  }

  std::shared_ptr<ChannelEnd> fabric;  // null: not open
  bool dialling = false;

 private:
  SimChannels& all_;
  const Channel& channel_;
  const bool up_;
};

SimChannels::SimChannels(ChaosWorld& world, SimFabric& fabric, SimProcess& process,
                         const PrepareRequest& request, const Plan& plan, SimChannelEvents& events)
    : world_(world),
      fabric_(fabric),
      process_(process),
      request_(request),
      plan_(plan),
      events_(events),
      up_ends_(plan.channels.size()),
      down_ends_(plan.channels.size()) {
  for (const Channel& channel : plan.channels) {
    for (const bool up : {true, false}) {
      if (!IsHere(up ? channel.up : channel.down, request)) continue;
      ends_.push_back(std::make_unique<End>(*this, channel, up));
      (up ? up_ends_ : down_ends_)[channel.id] = ends_.back().get();
    }
  }
}

SimChannels::~SimChannels() { *wanted_ = false; }

// -- opening -----------------------------------------------------------------------------------

void SimChannels::Connect(Done done) {
  connecting_.push_back(std::move(done));
  if (all_open()) return FinishConnect(absl::OkStatus());
  for (const auto& end : ends_) {
    if (!end->up() && end->fabric == nullptr && !end->dialling) Dial(*end);
  }
}

void SimChannels::Dial(End& end) {
  SimFabric::Dial dial{.from = &process_,
                       .host = end.peer().host(),
                       .port = end.peer().fabric_port(),
                       .hello = {},
                       .plan = &plan_,
                       .deadline_ns = world_.now_ns() + world_.pace.connect_timeout_ns};
  dial.hello.set_job_id(request_.job_id());
  dial.hello.set_epoch(request_.epoch());
  dial.hello.set_plan_hash(request_.plan_hash());
  dial.hello.set_channel(static_cast<uint32_t>(end.channel()));
  dial.hello.set_node_id(process_.name());
  end.dialling = true;
  fabric_.Connect(
      std::move(dial), [wanted = wanted_] { return *wanted; },
      [this, &end](absl::StatusOr<std::shared_ptr<ChannelEnd>> opened) {
        end.dialling = false;
        if (closed_) return;
        if (!opened.ok()) return FinishConnect(opened.status());
        end.fabric = *std::move(opened);
        if (all_open()) FinishConnect(absl::OkStatus());
      });
}

void SimChannels::FinishConnect(const absl::Status& status) {
  for (const Done& done : std::exchange(connecting_, {})) done(status);
}

bool SimChannels::all_open() const {
  return std::all_of(ends_.begin(), ends_.end(), [](const auto& end) { return end->fabric; });
}

bool SimChannels::none_open() const {
  return std::none_of(ends_.begin(), ends_.end(), [](const auto& end) { return end->fabric; });
}

absl::Status SimChannels::Admit(const Hello& theirs) const {
  if (theirs.plan_hash() != request_.plan_hash()) {
    return absl::FailedPreconditionError("another plan");
  }
  if (theirs.channel() >= up_ends_.size() || up_ends_[theirs.channel()] == nullptr) {
    return absl::InvalidArgumentError("the up end is not here");
  }
  if (receiving_ || closed_) return absl::FailedPreconditionError("in use or released");
  return absl::OkStatus();
}

// A second connection for a channel replaces the first: its dialler gave that one up.
void SimChannels::Adopt(const Hello& theirs, std::shared_ptr<ChannelEnd> channel) {
  up_ends_[theirs.channel()]->fabric = std::move(channel);
  if (all_open()) FinishConnect(absl::OkStatus());
}

// -- open --------------------------------------------------------------------------------------

void SimChannels::Receive() {
  WS_CHECK(!receiving_);
  receiving_ = true;
  for (const auto& end : ends_) end->fabric->Open(*end);
}

SimChannels::End* SimChannels::Find(ChannelId channel, bool up) const {
  End* const end = (up ? up_ends_ : down_ends_).at(channel);
  WS_CHECK(end != nullptr);
  return end;
}

void SimChannels::Send(const SendAction& send) {
  End* const end = Find(send.channel, send.header.kind == FrameKind::kTile);
  if (end->fabric) end->fabric->Send(send.header, send.payload, send.token);
}

void SimChannels::Grant(const GrantAction& grant) {
  End* const end = Find(grant.channel, grant.kind == FrameKind::kGradient);
  if (end->fabric) end->fabric->Grant(grant.credit);
}

// -- closing -----------------------------------------------------------------------------------

void SimChannels::Close(std::function<void()> closed) {
  WS_CHECK(!closed_);
  closed_ = std::move(closed);
  for (const auto& end : ends_) {
    if (!end->fabric) continue;
    end->fabric->Close();
    // Without a handler nothing calls OnClosed; dropping the channel ends it.
    if (!receiving_) end->fabric = nullptr;
  }
  FinishConnect(absl::CancelledError("the epoch was released"));
  if (none_open()) closed_();
}

void SimChannels::OnEndClosed(End& end, const absl::Status& why) {
  end.fabric = nullptr;
  if (!closed_) {
    const std::string peer = end.peer().node_id();
    events_.OnBroken(end.channel(), peer, why);
  } else if (none_open()) {
    closed_();
  }
}

}  // namespace waferstream
