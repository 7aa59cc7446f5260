#include "base/asio_loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <thread>
#include <vector>

namespace waferstream {
namespace {

TEST(AsioLoopTest, RunsWhatIsPostedInOrderAndGivesResultsBack) {
  AsioLoop loop;
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) loop.Post([&order, i] { order.push_back(i); });
  const size_t seen = loop.Call([&] { return order.size(); });
  EXPECT_EQ(seen, 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[i], i);
}

TEST(AsioLoopTest, EveryCallersWorkRunsInItsOrderAndOneAtATime) {
  AsioLoop loop;
  constexpr int kCallers = 4, kEach = 500;
  std::vector<int> seen[kCallers];  // without a lock: the loop is one thread
  int running = 0, most = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < kEach; ++i) {
        loop.Post([&, caller, i] {
          most = std::max(most, ++running);
          seen[caller].push_back(i);
          --running;
        });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  loop.Drain();
  EXPECT_EQ(most, 1);
  for (const std::vector<int>& order : seen) {
    EXPECT_EQ(order.size(), static_cast<size_t>(kEach));
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  }
}

// Behind what is there already, not inside the caller's turn.
TEST(AsioLoopTest, WhatWorkPostsRunsBehindIt) {
  AsioLoop loop;
  absl::Notification done;
  std::vector<int> order;
  loop.Post([&] {
    loop.Post([&] { order.push_back(2); });
    loop.After(absl::ZeroDuration(), [&] { done.Notify(); });
    order.push_back(1);
  });
  done.WaitForNotification();
  loop.Drain();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(AsioLoopTest, LaterIsNotBeforeItsTime) {
  AsioLoop loop;
  absl::Notification done;
  double begun_s = loop.now_s(), ended_s = 0;
  loop.After(absl::Milliseconds(30), [&] {
    ended_s = loop.now_s();
    done.Notify();
  });
  done.WaitForNotification();
  EXPECT_GE(ended_s - begun_s, 0.03);
}

TEST(AsioLoopTest, TheShorterWaitEndsFirst) {
  AsioLoop loop;
  absl::Notification done;
  std::vector<int> order;
  loop.After(absl::Milliseconds(50), [&] {
    order.push_back(2);
    done.Notify();
  });
  loop.After(absl::Milliseconds(1), [&] { order.push_back(1); });
  done.WaitForNotification();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(AsioLoopTest, DrainRunsWhatWasPosted) {
  AsioLoop loop;
  int ran = 0;
  for (int i = 0; i < 1000; ++i) loop.Post([&] { ++ran; });
  loop.Drain();
  EXPECT_EQ(ran, 1000);
  loop.Post([&] { ++ran; });
  loop.Drain();  // again: nothing
  EXPECT_EQ(ran, 1000);
}

// Work that never runs is destroyed with the loop, not kept and not run.
TEST(AsioLoopTest, DestructionDropsWhatHasNotBegun) {
  const auto held = std::make_shared<int>(0);
  {
    AsioLoop loop;
    absl::Notification running, go_on;
    loop.Post([&] {
      running.Notify();
      go_on.WaitForNotification();
    });
    running.WaitForNotification();
    loop.Post([held] { ++*held; });
    loop.After(absl::Hours(1), [held] { ++*held; });
    // The loop is told to stop while the first piece of work runs.
    std::thread end([&] { go_on.Notify(); });
    end.join();
  }
  EXPECT_LE(*held, 1);
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace waferstream
