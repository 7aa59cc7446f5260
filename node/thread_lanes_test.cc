#include "node/thread_lanes.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "base/asio_loop.h"

namespace waferstream {
namespace {

using Work = std::function<absl::Status(Parallel&)>;

// What came back, in order; filled on the loop.
class Results {
 public:
  LaneRunner::Done Taker(AsioLoop& loop) {
    const std::thread::id on_loop = loop.Call([] { return std::this_thread::get_id(); });
    return [this, on_loop](uint64_t id, const absl::Status& status) {
      absl::MutexLock lock(&mutex_);
      EXPECT_EQ(std::this_thread::get_id(), on_loop);
      ids_.push_back(id);
      statuses_.push_back(status);
    };
  }

  // Waits until so many have come.
  std::vector<uint64_t> Ids(size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto all = [&] { return ids_.size() >= count; };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&all), absl::Seconds(30)));
    return ids_;
  }
  std::vector<absl::Status> statuses() {
    absl::MutexLock lock(&mutex_);
    return statuses_;
  }

 private:
  absl::Mutex mutex_;
  std::vector<uint64_t> ids_;
  std::vector<absl::Status> statuses_;
};

class ThreadLanesTest : public testing::Test {
 protected:
  std::unique_ptr<LaneRunner> Make(Results& results, int threads = 1) {
    return lanes_.Make({.threads = threads}, results.Taker(loop_));
  }
  // Gives work to a lane from the loop, as the shell does.
  void Run(LaneRunner& lane, uint64_t id, Work work) {
    loop_.Call([&] {
      lane.Run({.lane = Lane::kCompute, .id = id, .work = std::move(work)});
      return 0;
    });
  }

  AsioLoop loop_;
  ThreadLanes lanes_{loop_};
  Results results_;
};

// Work that says when it has begun, and ends when it is told to.
struct HeldWork {
  absl::Notification begun, go_on;
  Work Get() {
    return [this](Parallel&) {
      begun.Notify();
      go_on.WaitForNotification();
      return absl::OkStatus();
    };
  }
};

TEST_F(ThreadLanesTest, WorkRunsInOrderOneAfterTheOther) {
  const auto lane = Make(results_);
  std::vector<int> order;  // without a lock: never two at once
  for (int i = 0; i < 200; ++i) {
    Run(*lane, i, [&order, i](Parallel&) {
      order.push_back(i);
      return absl::OkStatus();
    });
  }
  const std::vector<uint64_t> ids = results_.Ids(200);
  ASSERT_EQ(ids.size(), 200u);
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(order[i], i);
    EXPECT_EQ(ids[i], static_cast<uint64_t>(i));
  }
}

TEST_F(ThreadLanesTest, WhatTheWorkReturnedComesBackWithItsId) {
  const auto lane = Make(results_);
  const absl::Status full = absl::ResourceExhaustedError("full");
  Run(*lane, 7, [&](Parallel&) { return full; });
  Run(*lane, 8, [](Parallel&) { return absl::OkStatus(); });
  EXPECT_EQ(results_.Ids(2), (std::vector<uint64_t>{7, 8}));
  EXPECT_EQ(results_.statuses(), (std::vector<absl::Status>{full, absl::OkStatus()}));
}

TEST_F(ThreadLanesTest, WorkRunsBesideTheLoopWithTheThreadsAskedFor) {
  const auto lane = Make(results_, 3);
  const std::thread::id on_loop = loop_.Call([] { return std::this_thread::get_id(); });
  Run(*lane, 0, [&](Parallel& parallel) {
    EXPECT_EQ(parallel.threads(), 3);
    EXPECT_NE(std::this_thread::get_id(), on_loop);
    return absl::OkStatus();
  });
  results_.Ids(1);
}

TEST_F(ThreadLanesTest, LanesRunBesideEachOther) {
  const auto held_lane = Make(results_), other = Make(results_);
  HeldWork held;
  Run(*held_lane, 1, held.Get());
  held.begun.WaitForNotification();
  Run(*other, 2, [](Parallel&) { return absl::OkStatus(); });
  EXPECT_EQ(results_.Ids(1), (std::vector<uint64_t>{2}));
  held.go_on.Notify();
  EXPECT_EQ(results_.Ids(2), (std::vector<uint64_t>{2, 1}));
}

TEST_F(ThreadLanesTest, DropTakesBackWhatHasNotBegun) {
  const auto lane = Make(results_);
  HeldWork held;
  Run(*lane, 1, held.Get());
  held.begun.WaitForNotification();
  std::atomic<bool> ran = false;
  const auto owned = std::make_shared<int>(0);
  for (uint64_t id = 2; id < 5; ++id) {
    Run(*lane, id, [&ran, owned](Parallel&) {
      ran = true;
      return absl::OkStatus();
    });
  }
  EXPECT_EQ(loop_.Call([&] { return lane->Drop(); }), 3);
  EXPECT_EQ(owned.use_count(), 1);  // and what it held is free
  EXPECT_EQ(loop_.Call([&] { return lane->Drop(); }), 0);
  held.go_on.Notify();
  // The one that had begun comes back, and the lane goes on.
  Run(*lane, 5, [](Parallel&) { return absl::OkStatus(); });
  EXPECT_EQ(results_.Ids(2), (std::vector<uint64_t>{1, 5}));
  EXPECT_FALSE(ran);
}

TEST_F(ThreadLanesTest, ItsEndWaitsForTheRunningWorkAndFreesTheRest) {
  auto lane = Make(results_);
  HeldWork held;
  std::atomic<bool> ended = false;
  Run(*lane, 1, [&, work = held.Get()](Parallel& parallel) {
    const absl::Status status = work(parallel);
    ended = true;
    return status;
  });
  held.begun.WaitForNotification();
  const auto owned = std::make_shared<int>(0);
  Run(*lane, 2, [owned](Parallel&) { return absl::OkStatus(); });
  std::thread later([&] { held.go_on.Notify(); });
  lane.reset();
  EXPECT_TRUE(ended);
  EXPECT_EQ(owned.use_count(), 1);
  later.join();
}

// ---- TaskLane, over such a lane
// ------------------------------------------------------------------

TEST_F(ThreadLanesTest, ATaskGetsItsOwnContinuation) {
  std::vector<std::string> order;
  absl::Notification done;
  const auto tasks = std::make_unique<TaskLane>(lanes_, LaneTerms{});
  loop_.Call([&] {
    for (const char* name : {"a", "b", "c"}) {
      tasks->Run([name] { return absl::UnknownError(name); },
                 [&, name](const absl::Status& status) {
                   EXPECT_EQ(status.message(), name);
                   order.emplace_back(name);
                   if (order.size() == 3) done.Notify();
                 });
    }
    return 0;
  });
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(absl::Seconds(30)));
  EXPECT_EQ(order, (std::vector<std::string>{"a", "b", "c"}));
}

}  // namespace
}  // namespace waferstream
