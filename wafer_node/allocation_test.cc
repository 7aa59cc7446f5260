// What a wafer core allocates after its Start: small change, and none of it grows with the tiles.
//
// A tile, a gradient, an activation: all of that lies in the arena. What is allocated in an event
// is the turn's list of actions, places of tiles and blocks, and lists of the op's addresses; of a
// wave the schedule of its sums, of a step its report.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/allocation_count.h"
#include "core/role_core.h"
#include "plan/test_job.h"
#include "wafer_node/fake_parent.h"

namespace waferstream {
namespace {

struct Allocated {
  uint64_t events = 0;
  uint64_t calls = 0;
  size_t largest = 0;  // bytes of one allocation
  double each() const { return static_cast<double>(calls) / static_cast<double>(events); }
};

// Counts what the core allocates from behind its Start on, by kind of event.
class CountedCore final : public RoleCore {
 public:
  explicit CountedCore(RoleCore& core) : core_(core) {}

  const std::map<std::string, Allocated>& allocated() const { return allocated_; }
  const Allocated& Of(const std::string& event) const { return allocated_.at(event); }

 private:
  template <typename Call>
  auto Count(const std::string& event, Call call) {
    const CountAllocations counter;
    auto result = call();
    const AllocationCount count = counter.sofar();
    Allocated& allocated = allocated_[event];
    ++allocated.events;
    allocated.calls += count.calls;
    allocated.largest = std::max(allocated.largest, count.largest);
    return result;
  }

  template <typename Call>
  void CountTurn(const std::string& event, Turn& turn, Call call) {
    Count(event, [&] { return call(), true; });
    CountWork(turn);
  }

  void CountWork(Turn& turn) {
    for (Action& action : turn.actions) {
      auto* compute = std::get_if<ComputeAction>(&action);
      if (compute == nullptr) continue;
      compute->work = [this, work = std::move(compute->work)](Parallel& parallel) {
        return Count("work", [&] { return work(parallel); });
      };
    }
  }

 public:
  void Start(Turn& turn) override {
    core_.Start(turn);
    CountWork(turn);
  }
  absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId channel,
                                                 const FrameHeader& header) override {
    return Count("BufferFor", [&] { return core_.BufferFor(channel, header); });
  }
  absl::Status OnFrame(ChannelId channel, const FrameHeader& header, const std::byte* payload,
                       Turn& turn) override {
    const absl::Status status =
        Count("OnFrame", [&] { return core_.OnFrame(channel, header, payload, turn); });
    CountWork(turn);
    return status;
  }
  void OnCredit(ChannelId channel, FrameKind kind, const Credit& credit, Turn& turn) override {
    CountTurn("OnCredit", turn, [&] { core_.OnCredit(channel, kind, credit, turn); });
  }
  void OnSent(uint64_t token, Turn& turn) override {
    CountTurn("OnSent", turn, [&] { core_.OnSent(token, turn); });
  }
  absl::Status OnComputeDone(uint64_t id, const absl::Status& status, Turn& turn) override {
    const absl::Status taken =
        Count("OnComputeDone", [&] { return core_.OnComputeDone(id, status, turn); });
    CountWork(turn);
    return taken;
  }

 private:
  RoleCore& core_;
  std::map<std::string, Allocated> allocated_;
};

struct Shape {
  Precision precision = F32;
  int steps = 2;
  int hidden = 32;
  int gradient_slots = 4;
};

std::map<std::string, Allocated> AllocatedBy(const Shape& shape) {
  JobSpec job = TestJob();
  job.mutable_training()->set_precision(shape.precision);
  job.mutable_training()->set_steps(shape.steps);
  job.mutable_training()->set_tile_elements(uint64_t{32} * static_cast<uint64_t>(shape.hidden));
  job.mutable_model()->set_hidden(shape.hidden);
  job.mutable_model()->set_ffn(4 * shape.hidden);
  const auto plan = Compile(job, {.wafers = 1, .memoryx = 1, .swarmx = 1});
  EXPECT_TRUE(plan.ok()) << plan.status();
  const TestWeights weights = MakeWeights(*plan, 1);
  FakeParent parent(*plan, weights, {.gradient_slots = shape.gradient_slots});
  CountedCore counted(parent.core());
  parent.Interpose(counted);
  parent.Run();
  EXPECT_TRUE(parent.AllReturned());
  return counted.allocated();
}

// The numbers of docs: wafer_node/README.md.
TEST(WaferAllocation, AnEventAllocatesLittle) {
  for (const Precision precision : {F32, BF16}) {
    for (const int gradient_slots : {1, 4}) {
      const Shape shape{.precision = precision, .gradient_slots = gradient_slots};
      AllocatedBy(shape);  // the first product of a shape makes its kernel
      const auto allocated = AllocatedBy(shape);
      EXPECT_EQ(allocated.at("BufferFor").calls, 0u);
      EXPECT_LE(allocated.at("OnCredit").each(), 1);
      EXPECT_LE(allocated.at("OnSent").each(), 4);
      EXPECT_LE(allocated.at("OnFrame").each(), 5);
      EXPECT_LE(allocated.at("OnComputeDone").each(), 6);
      EXPECT_LE(allocated.at("work").each(), 2);
    }
  }
}

TEST(WaferAllocation, NoneGrowsWithTheTiles) {
  for (const Precision precision : {F32, BF16}) {
    for (const int hidden : {32, 128}) {  // tiles of 4 and of 16 KiB in fp32
      AllocatedBy({.precision = precision, .hidden = hidden});
      for (const auto& [event, allocated] :
           AllocatedBy({.precision = precision, .hidden = hidden})) {
        EXPECT_LE(allocated.largest, 512u) << event;
      }
    }
  }
}

TEST(WaferAllocation, AStepAllocatesWhatTheOneBeforeDid) {
  const auto calls = [](int steps) {
    uint64_t sum = 0;
    for (const auto& [event, allocated] : AllocatedBy({.steps = steps})) sum += allocated.calls;
    return sum;
  };
  calls(1);
  const uint64_t early = calls(4) - calls(2);
  const uint64_t late = calls(16) - calls(14);
  EXPECT_NEAR(static_cast<double>(late), static_cast<double>(early), 0.02 * early);
}

}  // namespace
}  // namespace waferstream
