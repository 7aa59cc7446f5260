#include "swarmx/gradient_reducer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/parallel.h"
#include "plan/pass.h"
#include "swarmx/test_tree.h"

namespace waferstream {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint32_t kEpoch = 6;
constexpr uint64_t kTokenBase = 1000;
constexpr uint64_t kComputeId = 77;

// Element i of a block is this much times its value: exact, and tells the elements apart.
float Scale(size_t i) { return std::ldexp(1.f, static_cast<int>(i % 5)); }

struct Block {
  int tile;
  BlockRange range;
  uint32_t wave = 0;
  uint64_t step = 0;
};

// Sent upwards: to which parent, what, and the value in it.
struct Up {
  ChannelId parent;
  int tile;
  BlockRange range;
  float value;
  friend bool operator==(const Up&, const Up&) = default;
};
void PrintTo(const Up& up, std::ostream* out) {
  *out << "to " << up.parent << " tile " << up.tile << " (" << up.range.lo << ", "
       << int{up.range.level} << ") " << up.value;
}

class GradientReducerTest : public testing::Test {
 protected:
  void Begin(Plan plan, uint64_t start_step = 0) {
    plan_ = std::move(plan);
    traffic_.Clear();
    turn_.actions.clear();
    memory_.assign(GradientReducer::ResidentBytes(plan_, plan_.tree_nodes[0]), std::byte{0});
    reducer_.emplace(plan_, Endpoint{SWARMX, 0, 0}, kEpoch, start_step, kTokenBase, kComputeId,
                     memory_, &traffic_);
  }
  FrameHeader Frame(const Block& block) const {
    FrameHeader header;
    header.kind = FrameKind::kGradient;
    header.pass = static_cast<uint8_t>(PassKind::kBackward);
    header.range_level = block.range.level;
    header.range_lo = block.range.lo;
    header.epoch = kEpoch;
    header.step = block.step;
    header.wave = block.wave;
    header.tile = static_cast<uint32_t>(block.tile);
    header.length = 4 * plan_.tiles[block.tile].elements;
    return header;
  }
  void Receive(ChannelId child, const Block& block, float value) {
    const FrameHeader header = Frame(block);
    const auto buffer = reducer_->BufferFor(child, header);
    ASSERT_TRUE(buffer.ok()) << buffer.status();
    ASSERT_EQ(buffer->size(), header.length);
    auto* const floats = reinterpret_cast<float*>(buffer->data());
    for (size_t i = 0; i < header.length / 4; ++i) floats[i] = value * Scale(i);
    reducer_->OnFrame(child, header, buffer->data(), turn_);
  }
  // A header alone; the slot keeps what was there.
  void ReceiveZeros(ChannelId child, const Block& block) {
    FrameHeader header = Frame(block);
    header.length = 0;
    const auto buffer = reducer_->BufferFor(child, header);
    ASSERT_TRUE(buffer.ok()) << buffer.status();
    ASSERT_TRUE(buffer->empty());
    reducer_->OnFrame(child, header, buffer->data(), turn_);
  }
  void GrantAll(int slots = 50) {
    for (ChannelId parent : {kParent0, kParent1}) {
      reducer_->OnCredit(parent, {{slots, slots}}, turn_);
    }
  }
  // The batch that is on the lane; false: there is none.
  bool Compute() {
    const auto at = std::find_if(turn_.actions.begin(), turn_.actions.end(), [](const Action& a) {
      return std::holds_alternative<ComputeAction>(a);
    });
    if (at == turn_.actions.end()) return false;
    const ComputeAction job = std::get<ComputeAction>(*at);
    turn_.actions.erase(at);
    EXPECT_EQ(job.id, kComputeId);
    EXPECT_TRUE(job.work(serial_).ok());
    reducer_->OnComputeDone(turn_);
    return true;
  }
  void ComputeAll() {
    while (Compute()) continue;
  }
  std::vector<Up> SentUp() {
    std::vector<Up> ups;
    std::erase_if(turn_.actions, [&](const Action& action) {
      const auto* send = std::get_if<SendAction>(&action);
      if (send == nullptr) return false;
      const auto* floats = reinterpret_cast<const float*>(send->payload);
      for (size_t i = 0; i < send->header.length / 4; ++i) {
        EXPECT_EQ(floats[i], floats[0] * Scale(i)) << i;
      }
      const FrameHeader& header = send->header;
      EXPECT_EQ(header.epoch, kEpoch);
      ups.push_back({send->channel,
                     static_cast<int>(header.tile),
                     {header.range_lo, header.range_level},
                     send->header.length == 0 ? 0 : floats[0]});
      slots_.push_back(static_cast<int>(send->token - kTokenBase));
      return true;
    });
    return ups;
  }
  // Slots of each class granted to the child since the last look.
  std::pair<int, int> GrantedTo(ChannelId child) {
    return TakeGrants(turn_, child, FrameKind::kGradient);
  }

  Plan plan_;
  Serial serial_;
  std::vector<std::byte> memory_;
  TrafficCounters traffic_;
  std::optional<GradientReducer> reducer_;
  Turn turn_;
  std::vector<int> slots_;  // of what SentUp saw
};

const std::pair<int, int> kNoGrant = {0, 0};
constexpr BlockRange kLeft = {0, 0}, kRight = {1, 0}, kWhole = {0, 1};

Plan TwoWaves() {
  Plan plan = TestTree(6);
  plan.waves = 2;
  return plan;
}

// Of two children each; one parent holds the tile.
TEST_F(GradientReducerTest, WhatIsLentIsAddedWhereItLiesAndThenReturned) {
  Begin(TestTree(2));
  GrantAll();
  std::vector<std::vector<float>> elsewhere;
  for (const auto& [child, range] : {std::pair(kChild0, kLeft), std::pair(kChild1, kRight)}) {
    FrameHeader header = Frame({0, range});
    header.sequence = static_cast<uint64_t>(child) + 40;
    elsewhere.emplace_back(header.length / 4);
    for (size_t i = 0; i < header.length / 4; ++i) elsewhere.back()[i] = 2 * Scale(i);
    ASSERT_TRUE(reducer_->BufferFor(child, header).ok());
    reducer_->OnFrame(child, header, reinterpret_cast<const std::byte*>(elsewhere.back().data()),
                      turn_);
  }
  ComputeAll();
  std::set<uint64_t> returned;
  for (const Action& action : turn_.actions) {
    if (const auto* done = std::get_if<ReturnAction>(&action)) returned.insert(done->sequence);
  }
  EXPECT_EQ(returned, (std::set<uint64_t>{kChild0 + 40u, kChild1 + 40u}));
  EXPECT_EQ(elsewhere[0][0], 2 * Scale(0));
  const std::vector<Up> ups = SentUp();
  ASSERT_EQ(ups.size(), 1u);
  EXPECT_EQ(ups[0].value, 4);
}

// Wafer 0 makes (0, 1) and (2, 0), wafer 1 (3, 0) and (4, 2). Beside 1e8 a 1 is lost in fp32, so
// that only (a + (b + c)) + d is 1.
TEST_F(GradientReducerTest, EveryArrivalOrderGivesTheCanonicalSum) {
  const std::pair<Block, float> a = {{0, {0, 1}}, 1e8f}, b = {{0, {2, 0}}, -1e8f};
  const std::pair<Block, float> c = {{0, {3, 0}}, 1}, d = {{0, {4, 2}}, 1};
  std::string order = "0011";  // which wafer's next block comes
  do {
    SCOPED_TRACE(order);
    for (const bool at_once : {false, true}) {
      Begin(TestTree(5));
      GrantAll();
      int arrived[2] = {0, 0};
      for (const char wafer : order) {
        const int n = arrived[wafer - '0']++;
        const auto& [block, value] = wafer == '0' ? (n == 0 ? a : b) : (n == 0 ? c : d);
        Receive(wafer == '0' ? kChild0 : kChild1, block, value);
        if (at_once) ComputeAll();
      }
      ComputeAll();
      EXPECT_THAT(SentUp(), ElementsAre(Up{kParent0, 0, {0, 3}, 1}));
      EXPECT_EQ(traffic_.gradient_adds(), 3u);
      EXPECT_EQ(traffic_.gradient_blocks_in(), 4u);
      EXPECT_EQ(traffic_.gradient_blocks_out(), 1u);
      EXPECT_EQ(traffic_.gradient_bytes_out(), 80u);
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_F(GradientReducerTest, WhatHasNoSiblingHereGoesUpInPlanOrder) {
  Begin(TwoWaves());
  EXPECT_EQ(reducer_->blocks_per_step(), 3 * 4u);
  GrantAll();
  Receive(kChild1, {0, {2, 0}}, 5);
  EXPECT_THAT(SentUp(), IsEmpty()) << "(0, 1) goes first";
  Receive(kChild0, {0, {0, 1}}, 4);
  EXPECT_THAT(SentUp(), ElementsAre(Up{kParent0, 0, {0, 1}, 4}, Up{kParent0, 0, {2, 0}, 5}));
  EXPECT_FALSE(Compute()) << "a block is only added to its sibling";
}

TEST_F(GradientReducerTest, ABlockWithoutItsZerosIsAddedAsZeros) {
  for (const bool left : {true, false}) {
    Begin(TestTree(2));
    std::fill(memory_.begin(), memory_.end(), std::byte{0x40});
    GrantAll();
    left ? ReceiveZeros(kChild0, {0, kLeft}) : Receive(kChild0, {0, kLeft}, -0.0f);
    left ? Receive(kChild1, {0, kRight}, -0.0f) : ReceiveZeros(kChild1, {0, kRight});
    ComputeAll();
    const std::vector<Up> ups = SentUp();
    EXPECT_THAT(ups, ElementsAre(Up{kParent0, 0, kWhole, 0}));
    EXPECT_FALSE(std::signbit(ups[0].value)) << "as zeros that had been sent";
    EXPECT_EQ(traffic_.gradient_bytes_in(), 80u);
    EXPECT_EQ(traffic_.gradient_bytes_out(), 80u);
  }
}

TEST_F(GradientReducerTest, BlocksWithoutTheirZerosGoUpWithoutThem) {
  Begin(TestTree(2));
  GrantAll();
  ReceiveZeros(kChild0, {0, kLeft});
  ReceiveZeros(kChild1, {0, kRight});
  ComputeAll();
  EXPECT_THAT(SentUp(), ElementsAre(Up{kParent0, 0, kWhole, 0}));
  EXPECT_EQ(traffic_.gradient_blocks_out(), 1u);
  EXPECT_EQ(traffic_.gradient_bytes_out(), 0u);
  // A slot that had no zeros has them no longer when it is used again.
  Receive(kChild0, {2, kLeft}, 1);
  Receive(kChild1, {2, kRight}, 2);
  ComputeAll();
  EXPECT_THAT(SentUp(), ElementsAre(Up{kParent0, 2, kWhole, 3}, Up{kParent1, 2, kWhole, 3}));
}

TEST_F(GradientReducerTest, WavesAreNotAddedToOneAnother) {
  Begin(TwoWaves());
  GrantAll();
  for (const int tile : {0, 2, 1}) {
    Receive(kChild0, {tile, {0, 1}}, 1);
    Receive(kChild1, {tile, {2, 0}}, 2);
    SentUp();
    for (const int slot : std::exchange(slots_, {})) reducer_->OnSent(slot, turn_);
  }
  Receive(kChild0, {0, {3, 0}, 1}, 10);  // the sibling of (2, 0), which is gone
  Receive(kChild0, {0, {4, 0}, 1}, 20);
  Receive(kChild1, {0, {5, 0}, 1}, 30);
  ComputeAll();
  EXPECT_THAT(SentUp(), ElementsAre(Up{kParent0, 0, {3, 0}, 10}, Up{kParent0, 0, {4, 2}, 50}));
}

TEST_F(GradientReducerTest, ASlotIsGrantedAgainWhenItsBlockIsAddedOrHasLeft) {
  Begin(TestTree(2));
  Turn start;
  reducer_->Start(start);
  EXPECT_EQ(start.actions.size(), 2u);
  GrantAll();
  Receive(kChild0, {0, kLeft}, 1);
  Receive(kChild1, {0, kRight}, 2);
  EXPECT_EQ(GrantedTo(kChild0), kNoGrant);
  EXPECT_EQ(GrantedTo(kChild1), kNoGrant) << "the lane still reads it";
  ComputeAll();
  EXPECT_EQ(GrantedTo(kChild1), std::make_pair(0, 1));
  EXPECT_EQ(GrantedTo(kChild0), kNoGrant) << "the sum is in it";
  EXPECT_THAT(SentUp(), ElementsAre(Up{kParent0, 0, kWhole, 3}));
  EXPECT_TRUE(reducer_->OnSent(slots_[0], turn_));
  EXPECT_EQ(GrantedTo(kChild0), std::make_pair(0, 1));
}

TEST_F(GradientReducerTest, ABlockGoesToAllHoldersOrToNone) {
  Begin(TestTree(2));
  reducer_->OnCredit(kParent0, {{9, 9}}, turn_);
  for (const int tile : {0, 2, 1}) {
    Receive(kChild0, {tile, kLeft}, 1);
    Receive(kChild1, {tile, kRight}, 2);
    ComputeAll();
  }
  EXPECT_THAT(SentUp(), ElementsAre(Up{kParent0, 0, kWhole, 3}));
  reducer_->OnCredit(kParent1, {{0, 1}}, turn_);
  EXPECT_THAT(SentUp(), IsEmpty()) << "tile 2 is due, and small";
  reducer_->OnCredit(kParent1, {{1, 0}}, turn_);
  EXPECT_THAT(SentUp(), ElementsAre(Up{kParent0, 2, kWhole, 3}, Up{kParent1, 2, kWhole, 3},
                                    Up{kParent1, 1, kWhole, 3}));
  GrantedTo(kChild0);
  ASSERT_EQ(slots_[1], slots_[2]);
  EXPECT_FALSE(reducer_->OnSent(slots_[1], turn_));
  EXPECT_EQ(GrantedTo(kChild0), kNoGrant) << "the other holder's copy has not left";
  EXPECT_TRUE(reducer_->OnSent(slots_[2], turn_));
  EXPECT_EQ(GrantedTo(kChild0), std::make_pair(1, 0));
}

TEST_F(GradientReducerTest, CreditIsSpent) {
  Begin(TestTree(2));
  reducer_->OnCredit(kParent0, {{9, 1}}, turn_);
  reducer_->OnCredit(kParent1, {{9, 9}}, turn_);
  for (const uint64_t step : {0, 1}) {
    for (const int tile : {0, 2, 1}) {
      Receive(kChild0, {tile, kLeft, 0, step}, 1);
      Receive(kChild1, {tile, kRight, 0, step}, 2);
      ComputeAll();
      const size_t sent = SentUp().size();
      EXPECT_EQ(sent, step == 1 ? 0u : tile == 2 ? 2u : 1u) << step << " " << tile;
      for (const int slot : std::exchange(slots_, {})) reducer_->OnSent(slot, turn_);
      if (step == 1) return;
    }
  }
}

TEST_F(GradientReducerTest, OneBatchAtATime) {
  Begin(TestTree(2));
  GrantAll();
  turn_.now_s = 10;
  Receive(kChild0, {0, kLeft}, 1);
  Receive(kChild1, {0, kRight}, 2);
  Receive(kChild0, {2, kLeft}, 3);
  Receive(kChild1, {2, kRight}, 4);
  turn_.now_s = 12.5;
  ASSERT_TRUE(Compute());
  EXPECT_THAT(SentUp(), ElementsAre(Up{kParent0, 0, kWhole, 3})) << "tile 2's is not added yet";
  EXPECT_EQ(traffic_.busy_seconds(), 2.5);
  EXPECT_EQ(traffic_.gradient_adds(), 1u);
  ASSERT_TRUE(Compute());
  EXPECT_THAT(SentUp(), ElementsAre(Up{kParent0, 2, kWhole, 7}, Up{kParent1, 2, kWhole, 7}));
  EXPECT_FALSE(Compute());
}

TEST_F(GradientReducerTest, LargeTilesAreAddedToTheLastElement) {
  constexpr int64_t kElements = 2 * (16 << 10) + 7;
  Plan plan = TestTree(2);
  plan.tiles[0].elements = kElements;
  plan.gradient_slot_bytes[kLarge] = 4 * kElements;
  Begin(plan);
  GrantAll();
  Receive(kChild0, {0, kLeft}, 1);
  Receive(kChild1, {0, kRight}, 2);
  ComputeAll();
  EXPECT_THAT(SentUp(), ElementsAre(Up{kParent0, 0, kWhole, 3}));
}

TEST_F(GradientReducerTest, WhatIsNotDueIsRefusedAndTakesNoSlot) {
  Begin(TestTree(2));
  std::vector<FrameHeader> wrong = {Frame({2, kLeft}), Frame({0, kRight}), Frame({0, kWhole}),
                                    Frame({0, kLeft, 1}), Frame({0, kLeft, 0, 1})};
  wrong.insert(wrong.end(), 4, Frame({0, kLeft}));
  wrong[5].epoch = kEpoch + 1;
  wrong[6].contribution = 1;
  wrong[7].length += 4;
  wrong[8].kind = FrameKind::kTile;
  for (const FrameHeader& header : wrong) {
    EXPECT_EQ(reducer_->BufferFor(kChild0, header).status().code(),
              absl::StatusCode::kInvalidArgument)
        << Describe(header);
  }
  Receive(kChild0, {0, kLeft}, 1);
  EXPECT_EQ(reducer_->BufferFor(kChild0, Frame({0, kLeft})).status().code(),
            absl::StatusCode::kInvalidArgument)
      << "a duplicate";
  Receive(kChild0, {2, kLeft}, 1);
  Receive(kChild0, {1, kLeft}, 1);
  EXPECT_EQ(reducer_->BufferFor(kChild0, Frame({0, kLeft, 0, 1})).status().code(),
            absl::StatusCode::kResourceExhausted)
      << "beyond its two large slots";
}

TEST_F(GradientReducerTest, WhoHasNoMicroBatchSendsNothing) {
  Begin(TestTree(1));
  GrantAll();
  EXPECT_THAT(std::string(reducer_->BufferFor(kChild1, Frame({0, kLeft})).status().message()),
              HasSubstr("not in the plan"));
  Receive(kChild0, {0, kLeft}, 8);
  EXPECT_THAT(SentUp(), ElementsAre(Up{kParent0, 0, kLeft, 8})) << "passed on as it is";
}

TEST_F(GradientReducerTest, BeginsAtTheStepOfItsEpochAndEndsWithTheJob) {
  Begin(TestTree(1), 1);
  GrantAll();
  EXPECT_FALSE(reducer_->BufferFor(kChild0, Frame({0, kLeft})).ok());
  for (const int tile : {0, 2, 1}) Receive(kChild0, {tile, kLeft, 0, 1}, 8);
  EXPECT_EQ(SentUp().size(), 4u);
  EXPECT_FALSE(reducer_->BufferFor(kChild0, Frame({0, kLeft, 0, 2})).ok());
}

}  // namespace
}  // namespace waferstream
