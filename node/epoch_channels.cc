#include "node/epoch_channels.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "proto/role_word.h"

namespace waferstream {
namespace {

bool IsHere(const Endpoint& end, const PrepareRequest& request) {
  return end.role == request.role() && end.process == static_cast<int>(request.index());
}

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

}  // namespace

// One end of one channel: passes what the fabric says on to the epoch, with the channel's name.
class EpochChannels::End final : public ChannelHandler {
 public:
  End(EpochChannels& all, const Channel& channel, bool up)
      : all_(all), channel_(channel), up_(up) {}

  absl::StatusOr<std::span<std::byte>> BufferFor(const FrameHeader& header) override {
    if (header.kind != receives()) {
      return absl::InvalidArgumentError(
          absl::StrCat(Describe(header), " sent in the wrong direction"));
    }
    return all_.events_.BufferFor(channel_.id, header);
  }
  absl::Status OnFrame(const FrameHeader& header, const std::byte* payload) override {
    Count(header, in_);
    return all_.events_.OnFrame(channel_.id, header, payload);
  }
  void OnCredit(const Credit& credit) override {
    all_.events_.OnCredit(channel_.id, sends(), credit);
  }
  void OnSent(uint64_t token) override { all_.events_.OnSent(token); }
  void OnClosed(const absl::Status& why) override { all_.OnEndClosed(*this, why); }

  FrameKind receives() const { return up_ ? FrameKind::kGradient : FrameKind::kTile; }
  FrameKind sends() const { return up_ ? FrameKind::kTile : FrameKind::kGradient; }
  int channel() const { return channel_.id; }
  bool up() const { return up_; }
  bool open() const { return fabric != nullptr; }
  FabricTraffic traffic() const {
    if (up_) return {.tiles_in = {}, .tiles_out = out_, .gradients_in = in_, .gradients_out = {}};
    return {.tiles_in = in_, .tiles_out = {}, .gradients_in = {}, .gradients_out = out_};
  }
  const Member& peer() const {
    return MemberOf(up_ ? channel_.down : channel_.up, all_.request_.roster());
  }
  ChannelTerms terms() const {
    return {.epoch = all_.request_.epoch(),
            .peer_window = up_ ? channel_.tile_window : channel_.gradient_window,
            .slot_of = [&plan = all_.plan_](uint32_t tile) { return plan.tiles.at(tile).slot; }};
  }

  void Send(const SendAction& send) {
    if (!fabric) return;
    Count(send.header, out_);
    fabric->Send(send.header, send.payload, send.token, send.lend);
  }
  void Grant(const Credit& credit) {
    if (fabric) fabric->Grant(credit);
  }
  void Return(uint64_t sequence) {
    if (fabric) fabric->Return(sequence);
  }
  // Nothing is said on it any more; what it maps stays.
  void LetGo() { ended_ = std::exchange(fabric, nullptr); }

  std::shared_ptr<ChannelEnd> fabric;  // null: not open
  std::shared_ptr<PendingDial> dial;   // null: not being dialled

 private:
  static void Count(const FrameHeader& header, FabricCount& count) {
    ++count.frames;
    count.bytes += header.length;
  }

  EpochChannels& all_;
  const Channel& channel_;
  const bool up_;
  FabricCount in_, out_;
  std::shared_ptr<ChannelEnd> ended_;
};

EpochChannels::EpochChannels(Fabric& fabric, const PrepareRequest& request, const Plan& plan,
                             ChannelEvents& events)
    : fabric_(fabric),
      request_(request),
      plan_(plan),
      events_(events),
      up_ends_(plan.channels.size()),
      down_ends_(plan.channels.size()) {
  for (const Channel& channel : plan.channels) AddEnds(channel);
}

EpochChannels::~EpochChannels() = default;

void EpochChannels::AddEnds(const Channel& channel) {
  for (const bool up : {true, false}) {
    if (!IsHere(up ? channel.up : channel.down, request_)) continue;
    ends_.push_back(std::make_unique<End>(*this, channel, up));
    (up ? up_ends_ : down_ends_)[channel.id] = ends_.back().get();
  }
}

// -- opening -----------------------------------------------------------------------------------

void EpochChannels::Connect(absl::Duration timeout, Done done) {
  connecting_.push_back(std::move(done));
  if (all_open()) return FinishConnect(absl::OkStatus());
  for (const auto& end : ends_) {
    if (!end->up() && !end->open() && end->dial == nullptr) Dial(*end, timeout);
  }
}

void EpochChannels::Dial(End& end, absl::Duration timeout) {
  DialRequest request{.host = end.peer().host(),
                      .port = static_cast<uint16_t>(end.peer().fabric_port()),
                      .hello = HelloFor(end),
                      .terms = end.terms(),
                      .timeout = timeout,
                      .peer_role = RoleWord(plan_.channels[end.channel()].up.role)};
  // A cancelled dial still calls back; by then this object may be gone, and with it the end's dial.
  end.dial = fabric_.Dial(
      std::move(request), [this, &end](absl::StatusOr<std::shared_ptr<ChannelEnd>> opened) {
        if (absl::IsCancelled(opened.status())) return;
        end.dial = nullptr;
        if (opened.ok()) {
          end.fabric = *std::move(opened);
          if (all_open()) FinishConnect(absl::OkStatus());
        } else {
          FinishConnect(
              absl::Status(opened.status().code(),
                           absl::StrCat("channel ", end.channel(), " to node ",
                                        end.peer().node_id(), ": ", opened.status().message())));
        }
      });
}

Hello EpochChannels::HelloFor(const End& end) const {
  Hello hello;
  hello.set_job_id(request_.job_id());
  hello.set_epoch(request_.epoch());
  hello.set_plan_hash(request_.plan_hash());
  hello.set_channel(static_cast<uint32_t>(end.channel()));
  hello.set_role(RoleWord(request_.role()));
  hello.set_node_id(
      MemberOf({.role = request_.role(), .process = static_cast<int>(request_.index())},
               request_.roster())
          .node_id());
  return hello;
}

void EpochChannels::FinishConnect(const absl::Status& status) {
  for (const Done& done : std::exchange(connecting_, {})) done(status);
}

bool EpochChannels::all_open() const {
  return std::all_of(ends_.begin(), ends_.end(), [](const auto& end) { return end->open(); });
}

std::string EpochChannels::Missing() const {
  std::string missing;
  for (const auto& end : ends_) {
    if (end->open()) continue;
    absl::StrAppend(&missing, missing.empty() ? "" : ", ", "channel ", end->channel(),
                    end->up() ? " from node " : " to node ", end->peer().node_id());
  }
  return missing;
}

absl::StatusOr<ChannelTerms> EpochChannels::Admit(const Hello& theirs) const {
  if (theirs.plan_hash() != request_.plan_hash()) {
    return absl::FailedPreconditionError(
        absl::StrFormat("node %s has plan %016x, this node %016x: same build?", theirs.node_id(),
                        theirs.plan_hash(), request_.plan_hash()));
  }
  const End* end = theirs.channel() < up_ends_.size() ? up_ends_[theirs.channel()] : nullptr;
  if (end == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("the up end of channel ", theirs.channel(),
                                                   " is not here (node ", theirs.node_id(), ")"));
  }
  const std::string role = RoleWord(plan_.channels[theirs.channel()].down.role);
  if (theirs.role() != role) {
    return absl::PermissionDeniedError(absl::StrCat("channel ", theirs.channel(), " is for a ",
                                                    role, " node, and ", theirs.node_id(), " is ",
                                                    theirs.role()));
  }
  if (receiving_ || closed_) {
    return absl::FailedPreconditionError(
        absl::StrCat("channel ", theirs.channel(), " is in use or released"));
  }
  return end->terms();
}

// A second connection for a channel replaces the first: its dialler gave that one up.
void EpochChannels::Adopt(const Hello& theirs, std::shared_ptr<ChannelEnd> channel) {
  if (receiving_ || closed_) return;
  up_ends_[theirs.channel()]->fabric = std::move(channel);
  if (all_open()) FinishConnect(absl::OkStatus());
}

// -- open --------------------------------------------------------------------------------------

void EpochChannels::Receive() {
  WS_CHECK(!receiving_);
  receiving_ = true;
  for (const auto& end : ends_) end->fabric->Open(*end);
}

EpochChannels::End* EpochChannels::Find(ChannelId channel, bool up) const {
  End* end = (up ? up_ends_ : down_ends_).at(channel);
  WS_CHECK(end != nullptr);
  return end;
}

void EpochChannels::Send(const SendAction& send) {
  Find(send.channel, send.header.kind == FrameKind::kTile)->Send(send);
}

void EpochChannels::Grant(const GrantAction& grant) {
  Find(grant.channel, grant.kind == FrameKind::kGradient)->Grant(grant.credit);
}

void EpochChannels::Return(const ReturnAction& done) {
  Find(done.channel, done.kind == FrameKind::kGradient)->Return(done.sequence);
}

// -- closing -----------------------------------------------------------------------------------

void EpochChannels::Close(std::function<void()> closed) {
  WS_CHECK(!closed_);
  closed_ = std::move(closed);
  for (const auto& end : ends_) {
    if (end->dial) std::exchange(end->dial, nullptr)->Cancel();
    if (!end->open()) continue;
    end->fabric->Close();
    // Without a handler nothing calls OnClosed; dropping the channel ends it.
    if (!receiving_) end->fabric = nullptr;
  }
  FinishConnect(absl::CancelledError("the epoch was released"));
  if (std::none_of(ends_.begin(), ends_.end(), [](const auto& end) { return end->open(); })) {
    closed_();
  }
}

void EpochChannels::OnEndClosed(End& end, const absl::Status& why) {
  end.LetGo();
  if (!closed_) {
    const std::string peer = end.peer().node_id();
    events_.OnBroken(end.channel(), peer, why);
    return;
  }
  if (std::none_of(ends_.begin(), ends_.end(), [](const auto& end) { return end->open(); })) {
    closed_();
  }
}

std::string EpochChannels::Carriers() const {
  std::map<std::string, int> count;
  for (const auto& end : ends_) {
    if (end->open()) ++count[end->fabric->carrier()];
  }
  std::string carriers;
  for (const auto& [carrier, channels] : count) {
    absl::StrAppend(&carriers, carriers.empty() ? "" : ", ", carrier, " ", channels);
  }
  return carriers;
}

FabricTraffic EpochChannels::Traffic() const {
  FabricTraffic traffic;
  for (const auto& end : ends_) traffic += end->traffic();
  return traffic;
}

FabricTraffic& FabricTraffic::operator+=(const FabricTraffic& other) {
  for (FabricCount FabricTraffic::*count :
       {&FabricTraffic::tiles_in, &FabricTraffic::tiles_out, &FabricTraffic::gradients_in,
        &FabricTraffic::gradients_out}) {
    (this->*count).frames += (other.*count).frames;
    (this->*count).bytes += (other.*count).bytes;
  }
  return *this;
}

std::string Describe(const FabricTraffic& traffic) {
  return absl::StrFormat("tile bytes in %d out %d, gradient bytes in %d out %d",
                         traffic.tiles_in.bytes, traffic.tiles_out.bytes,
                         traffic.gradients_in.bytes, traffic.gradients_out.bytes);
}

}  // namespace waferstream
