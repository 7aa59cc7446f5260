// Both ends of a channel walk the same cursor; so what one end may send is exactly what the other
// expects, and everything else is refused.
#include "core/stream_cursor.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "plan/test_job.h"
#include "plan/topology.h"

namespace waferstream {
namespace {

constexpr uint32_t kEpoch = 3;

JobSpec Job() {
  JobSpec job = TestJob();
  job.mutable_training()->set_steps(3);
  job.mutable_training()->set_validate_every(2);
  job.mutable_data()->set_validation("validation.bin");
  job.mutable_cluster()->set_planes(2);
  job.mutable_cluster()->set_memoryx(2);
  return job;
}

Plan MustCompile(const JobSpec& job, int wafers = 3) {
  auto plan = Compile(job, {.wafers = wafers, .memoryx = 2, .swarmx = 1});
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

// SRAM for one micro-batch at a time, hence several waves.
Plan PlanOfWaves(int wafers) {
  JobSpec job = Job();
  const auto compiles = [&](size_t sram) {
    job.mutable_cluster()->mutable_wafer()->set_sram_bytes(sram);
    return Compile(job, {.wafers = wafers, .memoryx = 2, .swarmx = 1}).ok();
  };
  size_t refused = 0, fits = 64 << 20;
  while (fits - refused > 1024) {
    const size_t probe = (fits + refused) / 2;
    (compiles(probe) ? fits : refused) = probe;
  }
  EXPECT_TRUE(compiles(fits));
  return MustCompile(job, wafers);
}

std::vector<FrameHeader> All(TileCursor cursor) {
  std::vector<FrameHeader> frames;
  for (; !cursor.done(); cursor.Advance()) frames.push_back(cursor.Header());
  return frames;
}
std::vector<FrameHeader> All(GradientCursor cursor) {
  std::vector<FrameHeader> frames;
  for (; !cursor.done(); cursor.Advance()) frames.push_back(cursor.Header());
  return frames;
}

// What FirstPass, NextPass and StreamOf say, written down without a cursor.
std::vector<FrameHeader> TilesByHand(const Plan& plan, int plane, int primary, uint64_t from) {
  std::vector<FrameHeader> frames;
  for (auto pass = FirstPass(plan, from); pass; pass = NextPass(plan, *pass)) {
    for (const int tile : StreamOf(plan, pass->kind)) {
      if (plan.tiles[tile].plane != plane) continue;
      if (primary != TileCursor::kAnyone && plan.Primary(tile) != primary) continue;
      FrameHeader header;
      header.kind = FrameKind::kTile;
      header.dtype = static_cast<uint8_t>(plan.wire);
      header.pass = static_cast<uint8_t>(pass->kind);
      header.epoch = kEpoch;
      header.step = pass->step;
      header.wave = pass->wave;
      header.tile = static_cast<uint32_t>(tile);
      header.length = plan.TileBytes(tile);
      frames.push_back(header);
    }
  }
  return frames;
}

void ExpectSame(const std::vector<FrameHeader>& got, const std::vector<FrameHeader>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(Encode(got[i]), Encode(expected[i])) << i << ": " << Describe(got[i]);
  }
}

TEST(TileCursor, WalksThePlansPassesToTheEndOfTheJob) {
  const Plan plan = MustCompile(Job());
  for (const uint64_t from : {0, 1, 2, 3}) {
    for (int plane = 0; plane < 2; ++plane) {
      for (const int primary : {TileCursor::kAnyone, 0, 1}) {
        const TileCursor cursor(plan, plane, primary, kEpoch, from);
        ExpectSame(All(cursor), TilesByHand(plan, plane, primary, from));
      }
    }
  }
}

// Each MemoryX sends its share, a tree node merges them into the plane's stream.
TEST(TileCursor, TheSharesOfAPlaneAreThePlane) {
  const Plan plan = MustCompile(Job());
  for (int plane = 0; plane < 2; ++plane) {
    const auto all = All(TileCursor(plan, plane, TileCursor::kAnyone, kEpoch, 0));
    std::vector<std::vector<FrameHeader>> shares;
    for (const int primary : {0, 1}) {
      shares.push_back(All(TileCursor(plan, plane, primary, kEpoch, 0)));
      EXPECT_FALSE(shares.back().empty());
    }
    EXPECT_EQ(shares[0].size() + shares[1].size(), all.size());
    size_t next[2] = {0, 0};
    for (const FrameHeader& frame : all) {
      const int primary = plan.Primary(static_cast<int>(frame.tile));
      EXPECT_EQ(Encode(shares[primary][next[primary]++]), Encode(frame));
    }
  }
}

// The position embedding is streamed forward alone: a plane that has nothing else has no backward.
TEST(TileCursor, SkipsPassesOfWhichNothingComesThisWay) {
  Plan plan = MustCompile(Job());
  const auto& backward = plan.program.backward_stream;
  const std::set<int> needed_twice(backward.begin(), backward.end());
  for (int t = 0; t < static_cast<int>(plan.tiles.size()); ++t) {
    plan.tiles[t].plane = needed_twice.contains(t) ? 0 : 1;
  }
  const auto expected = TilesByHand(plan, 1, TileCursor::kAnyone, 0);
  EXPECT_FALSE(expected.empty());
  ExpectSame(All(TileCursor(plan, 1, TileCursor::kAnyone, kEpoch, 0)), expected);
}

TEST(TileCursor, IsDoneAtOnceWhenNothingIsLeftOrNothingComesThisWay) {
  JobSpec job = Job();
  job.mutable_data()->clear_validation();
  job.mutable_training()->clear_validate_every();
  const Plan plan = MustCompile(job);
  EXPECT_TRUE(TileCursor(plan, 0, TileCursor::kAnyone, kEpoch, 3).done());
  EXPECT_TRUE(TileCursor(plan, /*plane=*/7, TileCursor::kAnyone, kEpoch, 0).done());
  EXPECT_TRUE(TileCursor(plan, 0, /*primary=*/9, kEpoch, 0).done());
}

TEST(TileCursorDeathTest, DoesNotGoBeyondTheEnd) {
  const Plan plan = MustCompile(Job());
  TileCursor cursor(plan, /*plane=*/7, TileCursor::kAnyone, kEpoch, 0);
  EXPECT_DEATH(cursor.Advance(), "stream_cursor.cc");
}

// ---- gradients
// -----------------------------------------------------------------------------------

// Blocks of one (step, tile, contribution), as they come from all wafers.
using Gradient = std::tuple<uint64_t, uint32_t, int>;

TEST(GradientCursor, TheBlocksOfAllWafersCoverEveryGradientOnce) {
  for (const bool waves : {false, true}) {
    const Plan plan = waves ? PlanOfWaves(3) : MustCompile(Job());
    EXPECT_EQ(plan.waves > 1, waves);
    std::map<Gradient, std::vector<int>> covered;  // by leaf
    for (int wafer = 0; wafer < 3; ++wafer) {
      for (int plane = 0; plane < 2; ++plane) {
        const Endpoint self{WAFER, wafer, wafer};
        for (const FrameHeader& h : All(GradientCursor(plan, plane, self, kEpoch, 1))) {
          EXPECT_EQ(h.kind, FrameKind::kGradient);
          EXPECT_EQ(h.epoch, kEpoch);
          EXPECT_EQ(h.length, plan.GradientBytes(static_cast<int>(h.tile)));
          EXPECT_EQ(plan.tiles[h.tile].plane, plane);
          const LeafSpan resident = plan.TrainingLeaves(static_cast<int>(h.wave), wafer);
          EXPECT_GE(static_cast<int>(h.range_lo), resident.first);
          EXPECT_LT(static_cast<int>(h.range_lo), resident.first + resident.count);
          auto& leaves = covered[{h.step, h.tile, h.contribution}];
          leaves.resize(plan.leaves);
          for (int leaf = h.range_lo;
               leaf < static_cast<int>(h.range_lo) + (1 << h.range_level) && leaf < plan.leaves;
               ++leaf) {
            ++leaves[leaf];
          }
        }
      }
    }
    EXPECT_EQ(covered.size(), 2 * plan.program.gradient_stream.size());  // steps 1 and 2
    for (const auto& [gradient, leaves] : covered) {
      EXPECT_EQ(leaves, std::vector<int>(plan.leaves, 1)) << std::get<1>(gradient);
    }
  }
}

TEST(GradientCursor, ItemsFollowTheStreamAndCountBlocks) {
  const Plan plan = PlanOfWaves(1);
  ASSERT_GT(plan.waves, 1);
  GradientCursor cursor(plan, 0, {WAFER, 0, 0}, kEpoch, 0);
  const uint64_t blocks_per_step = cursor.blocks_per_step();
  uint64_t blocks = 0, of_first_step = 0, item = cursor.item();
  bool last = true;
  for (; !cursor.done(); cursor.Advance()) {
    // An item begins where the one before has had its last block.
    EXPECT_EQ(cursor.item() != item || blocks == 0, last);
    EXPECT_GE(cursor.item(), item);
    item = cursor.item();
    last = cursor.last_of_item();
    const FrameHeader header = cursor.Header();
    EXPECT_EQ(static_cast<int>(header.tile), cursor.TileOf(item));
    EXPECT_EQ((BlockRange{header.range_lo, header.range_level}), cursor.range());
    of_first_step += header.step == 0;
    ++blocks;
  }
  EXPECT_TRUE(last);
  EXPECT_EQ(of_first_step, blocks_per_step);
  EXPECT_EQ(blocks, 3 * blocks_per_step);
}

TEST(GradientCursor, WhoComputesNothingSendsNothing) {
  JobSpec job = Job();
  job.mutable_training()->set_global_batch(2);
  const Plan plan = MustCompile(job, 3);
  EXPECT_FALSE(GradientCursor(plan, 0, {WAFER, 0, 0}, kEpoch, 0).done());
  const GradientCursor idle(plan, 0, {WAFER, 2, 2}, kEpoch, 0);
  EXPECT_TRUE(idle.done());
  EXPECT_EQ(idle.blocks_per_step(), 0u);
  JobSpec generation = Job();
  generation.mutable_generate()->add_prompt(1);
  generation.mutable_generate()->set_tokens(2);
  EXPECT_TRUE(GradientCursor(MustCompile(generation), 0, {WAFER, 0, 0}, kEpoch, 0).done());
}

// ---- what is refused
// -----------------------------------------------------------------------------

TEST(CheckExpected, LeavesTheFabricsFieldsToTheFabricAndNothingElse) {
  const Plan plan = MustCompile(Job());
  const FrameHeader due = GradientCursor(plan, 0, {WAFER, 0, 0}, kEpoch, 0).Header();
  FrameHeader got = due;
  got.protocol = 2;
  got.sequence = 17;
  got.crc = 99;
  EXPECT_EQ(CheckExpected(due, got), absl::OkStatus());
  const std::function<void(FrameHeader&)> spoils[] = {
      [](FrameHeader& h) { h.kind = FrameKind::kTile; },
      [](FrameHeader& h) { ++h.dtype; },
      [](FrameHeader& h) { ++h.pass; },
      [](FrameHeader& h) { ++h.contribution; },
      [](FrameHeader& h) { ++h.range_level; },
      [](FrameHeader& h) { ++h.range_lo; },
      [](FrameHeader& h) { ++h.epoch; },
      [](FrameHeader& h) { ++h.step; },
      [](FrameHeader& h) { ++h.wave; },
      [](FrameHeader& h) { ++h.tile; },
      [](FrameHeader& h) { ++h.length; },
  };
  for (const auto& spoil : spoils) {
    FrameHeader wrong = got;
    spoil(wrong);
    const absl::Status refused = CheckExpected(due, wrong);
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << Describe(wrong);
    EXPECT_NE(refused.message().find(Describe(due)), std::string::npos) << refused;
  }
}

}  // namespace
}  // namespace waferstream
