#include "node/epoch_channels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace waferstream {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// One end of a channel that only remembers.
class FakeEnd final : public ChannelEnd {
 public:
  void Open(ChannelHandler& handler) override { handler_ = &handler; }
  void Send(const FrameHeader& header, const std::byte*, uint64_t token, bool) override {
    sent.push_back({header.kind, token});
  }
  void Return(uint64_t sequence) override { returned.push_back(sequence); }
  void Grant(const Credit& credit) override { granted += credit.slots[kSmall]; }
  std::string carrier() const override { return "fake"; }
  void Close() override { closed = true; }

  ChannelHandler& handler() { return *handler_; }
  bool open() const { return handler_ != nullptr; }

  std::vector<std::pair<FrameKind, uint64_t>> sent;
  std::vector<uint64_t> returned;
  int granted = 0;
  bool closed = false;

 private:
  ChannelHandler* handler_ = nullptr;
};

class FakeFabric final : public Fabric {
 public:
  struct Pending final : PendingDial {
    void Cancel() override { cancelled = true; }
    bool cancelled = false;
  };
  struct Attempt {
    DialRequest request;
    Dialled done;
    std::shared_ptr<Pending> pending;
  };

  std::shared_ptr<PendingDial> Dial(DialRequest request, Dialled done) override {
    dials.push_back({std::move(request), std::move(done), std::make_shared<Pending>()});
    return dials.back().pending;
  }
  absl::StatusOr<std::unique_ptr<FabricListener>> Listen(AcceptHandler&) override {
    return absl::UnimplementedError("nobody listens");
  }

  std::vector<Attempt> dials;
};

class FakeEvents final : public ChannelEvents {
 public:
  absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId channel, const FrameHeader&) override {
    seen.push_back("buffer " + std::to_string(channel));
    return std::span<std::byte>();
  }
  absl::Status OnFrame(ChannelId channel, const FrameHeader&, const std::byte*) override {
    seen.push_back("frame " + std::to_string(channel));
    return absl::OkStatus();
  }
  void OnCredit(ChannelId channel, FrameKind kind, const Credit&) override {
    seen.push_back((kind == FrameKind::kTile ? "tile credit " : "gradient credit ") +
                   std::to_string(channel));
  }
  void OnSent(uint64_t token) override { seen.push_back("sent " + std::to_string(token)); }
  void OnBroken(ChannelId channel, const std::string& peer, const absl::Status& why) override {
    seen.push_back("broken " + std::to_string(channel) + " " + peer + " " +
                   std::string(why.message()));
  }
  std::vector<std::string> seen;
};

void Add(google::protobuf::RepeatedPtrField<Member>& members, const std::string& node, int port) {
  Member* member = members.Add();
  member->set_node_id(node);
  member->set_host(node + ".host");
  member->set_fabric_port(port);
}

FrameHeader Frame(FrameKind kind, uint64_t length = 0) {
  FrameHeader header;
  header.kind = kind;
  header.length = length;
  return header;
}

// SwarmX process 0 has node 0 below MemoryX (channel 0, which it dials) and node 1 below node 0
// (channel 1, of which both ends are here) and above wafer 0 (channel 2, which it admits). Channel
// 3 is of others.
class EpochChannelsTest : public testing::Test {
 protected:
  EpochChannelsTest() {
    const Endpoint ends[][2] = {{{MEMORYX, 0, 0}, {SWARMX, 0, 0}},
                                {{SWARMX, 0, 0}, {SWARMX, 0, 1}},
                                {{SWARMX, 0, 1}, {WAFER, 0, 0}},
                                {{MEMORYX, 0, 0}, {SWARMX, 1, 2}}};
    for (const auto& [up, down] : ends) {
      Channel& channel = plan_.channels.emplace_back();
      channel.id = static_cast<int>(plan_.channels.size()) - 1;
      channel.up = up;
      channel.down = down;
      channel.tile_window = {{1, 2}};
      channel.gradient_window = {{3, 4}};
    }
    request_.set_job_id("j");
    request_.set_epoch(9);
    request_.set_plan_hash(0xabc);
    request_.set_role(SWARMX);
    request_.set_index(0);
    Add(*request_.mutable_roster()->mutable_memoryx(), "m0", 70);
    Add(*request_.mutable_roster()->mutable_swarmx(), "s0", 71);
    Add(*request_.mutable_roster()->mutable_swarmx(), "s1", 72);
    Add(*request_.mutable_roster()->mutable_wafers(), "w0", 73);
    channels_.emplace(fabric_, request_, plan_, events_);
  }

  void Connect() {
    channels_->Connect(absl::Seconds(5), [this](const absl::Status& s) { connects_.push_back(s); });
  }
  Hello HelloOf(uint32_t channel, const std::string& role) {
    Hello hello;
    hello.set_plan_hash(0xabc);
    hello.set_channel(channel);
    hello.set_role(role);
    hello.set_node_id("peer");
    return hello;
  }
  std::shared_ptr<FakeEnd> Adopt(uint32_t channel, const std::string& role) {
    auto end = std::make_shared<FakeEnd>();
    channels_->Adopt(HelloOf(channel, role), end);
    return end;
  }
  std::shared_ptr<FakeEnd> Answer(size_t dial) {
    auto end = std::make_shared<FakeEnd>();
    fabric_.dials[dial].done(std::shared_ptr<ChannelEnd>(end));
    return end;
  }
  void OpenAll() {
    Connect();
    down0_ = Answer(0);
    down1_ = Answer(1);
    up1_ = Adopt(1, "swarmx");
    up2_ = Adopt(2, "wafer");
    ASSERT_TRUE(channels_->all_open());
  }
  void Close() {
    channels_->Close([this] { ++closed_; });
  }

  Plan plan_;
  PrepareRequest request_;
  FakeFabric fabric_;
  FakeEvents events_;
  std::optional<EpochChannels> channels_;
  std::vector<absl::Status> connects_;
  std::shared_ptr<FakeEnd> down0_, down1_, up1_, up2_;
  int closed_ = 0;
};

TEST_F(EpochChannelsTest, DialsItsDownEndsAndSaysWhoItIs) {
  Connect();
  ASSERT_EQ(fabric_.dials.size(), 2u);
  const DialRequest& dial = fabric_.dials[0].request;
  EXPECT_EQ(dial.host, "m0.host");
  EXPECT_EQ(dial.port, 70);
  EXPECT_EQ(dial.peer_role, "memoryx");
  EXPECT_EQ(dial.hello.job_id(), "j");
  EXPECT_EQ(dial.hello.epoch(), 9u);
  EXPECT_EQ(dial.hello.plan_hash(), 0xabcu);
  EXPECT_EQ(dial.hello.channel(), 0u);
  EXPECT_EQ(dial.hello.role(), "swarmx");
  EXPECT_EQ(dial.hello.node_id(), "s0");
  EXPECT_EQ(dial.terms.epoch, 9u);
  EXPECT_THAT(dial.terms.peer_window.slots, ElementsAre(3, 4)) << "what the up end grants";
  EXPECT_EQ(fabric_.dials[1].request.port, 71) << "itself";
}

TEST_F(EpochChannelsTest, IsConnectedWhenEveryEndIsOpen) {
  Connect();
  Adopt(2, "wafer");
  Answer(1);
  Answer(0);
  EXPECT_THAT(connects_, IsEmpty());
  EXPECT_EQ(channels_->Missing(), "channel 1 from node s0");
  Adopt(1, "swarmx");
  ASSERT_EQ(connects_.size(), 1u);
  EXPECT_TRUE(connects_[0].ok());
  EXPECT_EQ(channels_->Missing(), "");
  Connect();
  EXPECT_EQ(connects_.size(), 2u) << "nothing is left to do";
  EXPECT_EQ(fabric_.dials.size(), 2u);
}

TEST_F(EpochChannelsTest, ADialThatFailedIsMadeAgainAndNoOther) {
  Connect();
  fabric_.dials[0].done(absl::DeadlineExceededError("nobody there"));
  ASSERT_EQ(connects_.size(), 1u);
  EXPECT_EQ(connects_[0], absl::DeadlineExceededError("channel 0 to node m0: nobody there"));
  Connect();
  ASSERT_EQ(fabric_.dials.size(), 3u) << "channel 1 is still being dialled";
  EXPECT_EQ(fabric_.dials[2].request.hello.channel(), 0u);
}

TEST_F(EpochChannelsTest, AdmitsWhoBelongsHere) {
  const auto terms = channels_->Admit(HelloOf(2, "wafer"));
  ASSERT_TRUE(terms.ok()) << terms.status();
  EXPECT_THAT(terms->peer_window.slots, ElementsAre(1, 2)) << "what the down end grants";
  Hello other = HelloOf(2, "wafer");
  other.set_plan_hash(0xabd);
  EXPECT_EQ(channels_->Admit(other).status().code(), absl::StatusCode::kFailedPrecondition);
  for (const uint32_t channel : {0u, 3u, 4u, ~0u}) {
    EXPECT_EQ(channels_->Admit(HelloOf(channel, "swarmx")).status().code(),
              absl::StatusCode::kInvalidArgument)
        << channel;
  }
  EXPECT_EQ(channels_->Admit(HelloOf(2, "swarmx")).status().code(),
            absl::StatusCode::kPermissionDenied);
  OpenAll();
  EXPECT_TRUE(channels_->Admit(HelloOf(2, "wafer")).ok()) << "its dialler gave the first one up";
  channels_->Receive();
  EXPECT_THAT(std::string(channels_->Admit(HelloOf(2, "wafer")).status().message()),
              HasSubstr("in use"));
}

TEST_F(EpochChannelsTest, ASecondConnectionReplacesTheFirstUntilItReceives) {
  OpenAll();
  const auto second = Adopt(2, "wafer");
  channels_->Receive();
  EXPECT_TRUE(second->open());
  EXPECT_FALSE(up2_->open());
  const auto third = Adopt(2, "wafer");
  channels_->Grant({2, FrameKind::kGradient, {{1, 0}}});
  EXPECT_EQ(second->granted, 1);
  EXPECT_EQ(third->granted, 0);
}

TEST_F(EpochChannelsTest, ActionsGoToTheEndOfTheirKind) {
  OpenAll();
  channels_->Receive();
  channels_->Send({1, Frame(FrameKind::kTile, 10), nullptr, 5});
  channels_->Send({1, Frame(FrameKind::kGradient, 20), nullptr, 6});
  EXPECT_THAT(up1_->sent, ElementsAre(std::pair(FrameKind::kTile, 5)));
  EXPECT_THAT(down1_->sent, ElementsAre(std::pair(FrameKind::kGradient, 6)));
  channels_->Grant({1, FrameKind::kTile, {{7, 0}}});
  channels_->Grant({1, FrameKind::kGradient, {{8, 0}}});
  channels_->Return({1, FrameKind::kTile, 3});
  channels_->Return({1, FrameKind::kGradient, 4});
  EXPECT_THAT(down1_->returned, ElementsAre(3)) << "so does who returns them";
  EXPECT_THAT(up1_->returned, ElementsAre(4));
  EXPECT_EQ(channels_->Carriers(), "fake 4");
  EXPECT_EQ(down1_->granted, 7) << "who receives tiles grants for them";
  EXPECT_EQ(up1_->granted, 8);
  const FabricTraffic traffic = channels_->Traffic();
  EXPECT_EQ(traffic.tiles_out.bytes, 10u);
  EXPECT_EQ(traffic.gradients_out.bytes, 20u);
  EXPECT_EQ(traffic.tiles_in.frames, 0u);
}

TEST_F(EpochChannelsTest, EventsCarryTheirChannelAndKind) {
  OpenAll();
  channels_->Receive();
  ASSERT_TRUE(up1_->handler().BufferFor(Frame(FrameKind::kGradient)).ok());
  ASSERT_TRUE(up1_->handler().OnFrame(Frame(FrameKind::kGradient, 30), nullptr).ok());
  ASSERT_TRUE(down0_->handler().OnFrame(Frame(FrameKind::kTile, 40), nullptr).ok());
  up1_->handler().OnCredit({{1, 0}});
  down1_->handler().OnCredit({{1, 0}});
  down1_->handler().OnSent(6);
  EXPECT_THAT(events_.seen, ElementsAre("buffer 1", "frame 1", "frame 0", "tile credit 1",
                                        "gradient credit 1", "sent 6"));
  EXPECT_EQ(channels_->Traffic().gradients_in.bytes, 30u);
  EXPECT_EQ(channels_->Traffic().tiles_in.bytes, 40u);
  EXPECT_EQ(channels_->Traffic().tiles_in.frames, 1u);
  events_.seen.clear();
  EXPECT_EQ(up1_->handler().BufferFor(Frame(FrameKind::kTile)).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(down1_->handler().BufferFor(Frame(FrameKind::kGradient)).ok());
  EXPECT_THAT(events_.seen, IsEmpty());
}

TEST_F(EpochChannelsTest, AChannelThatBreaksNamesItsPeerAndIsSilentAfterwards) {
  OpenAll();
  channels_->Receive();
  up2_->handler().OnClosed(absl::DataLossError("crc"));
  EXPECT_THAT(events_.seen, ElementsAre("broken 2 w0 crc"));
  channels_->Send({2, Frame(FrameKind::kTile, 10), nullptr, 5});
  channels_->Grant({2, FrameKind::kGradient, {{1, 0}}});
  EXPECT_THAT(up2_->sent, IsEmpty());
  EXPECT_EQ(channels_->Traffic().tiles_out.frames, 0u);
}

TEST_F(EpochChannelsTest, IsClosedWhenEveryEndIs) {
  OpenAll();
  channels_->Receive();
  up2_->handler().OnClosed(absl::AbortedError("gone"));
  events_.seen.clear();
  Close();
  for (const auto& end : {down0_, down1_, up1_}) {
    EXPECT_TRUE(end->closed);
    EXPECT_EQ(closed_, 0);
    end->handler().OnClosed(absl::OkStatus());
  }
  EXPECT_EQ(closed_, 1);
  EXPECT_THAT(events_.seen, IsEmpty()) << "nothing broke";
}

TEST_F(EpochChannelsTest, ClosedBeforeItReceivesItIsClosedAtOnce) {
  Connect();
  const auto open = Answer(1);
  Close();
  EXPECT_EQ(closed_, 1);
  EXPECT_TRUE(open->closed);
  EXPECT_TRUE(fabric_.dials[0].pending->cancelled);
  EXPECT_FALSE(fabric_.dials[1].pending->cancelled) << "it had ended";
  ASSERT_EQ(connects_.size(), 1u);
  EXPECT_EQ(connects_[0].code(), absl::StatusCode::kCancelled);
  EXPECT_FALSE(channels_->Admit(HelloOf(2, "wafer")).ok());
  Adopt(2, "wafer");
  EXPECT_THAT(channels_->Missing(), HasSubstr("channel 2")) << "dropped";
  const FakeFabric::Dialled late = fabric_.dials[0].done;
  channels_.reset();
  late(absl::CancelledError("as it says"));  // touches nothing
}

}  // namespace
}  // namespace waferstream
