#include "base/asio_loop.h"

#include <gtest/gtest.h>

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
