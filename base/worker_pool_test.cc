#include "base/worker_pool.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"

namespace waferstream {
namespace {

TEST(WorkerPool, RunsEveryUnitOnceWhateverTheThreads) {
  for (const int threads : {1, 2, 3, 8}) {
    WorkerPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const int units : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(units);
      pool.For(units, [&](int unit, int) { ++runs[unit]; });
      for (int i = 0; i < units; ++i) EXPECT_EQ(runs[i], 1) << i << " of " << units;
    }
  }
}

// What the units of one call write, the next call reads, without any synchronisation of its own.
TEST(WorkerPool, ACallIsOverWhenAllItsUnitsAre) {
  WorkerPool pool(4);
  std::vector<int> values(64, 0);
  for (int round = 0; round < 2000; ++round) {
    pool.For(64, [&](int unit, int) { values[(unit + round) % 64] += unit; });
  }
  EXPECT_EQ(std::accumulate(values.begin(), values.end(), 0), 2000 * 63 * 32);
}

// A thread's number names workspace: two units must never have it at once.
TEST(WorkerPool, AThreadIsGivenOneUnitAtATime) {
  constexpr int kThreads = 4;
  WorkerPool pool(kThreads);
  std::vector<std::atomic<int>> inside(kThreads);
  std::atomic<bool> shared = false, in_range = true;
  pool.For(2000, [&](int, int thread) {
    if (thread < 0 || thread >= kThreads) {
      in_range = false;
      return;
    }
    if (++inside[thread] > 1) shared = true;
    std::this_thread::yield();
    --inside[thread];
  });
  EXPECT_TRUE(in_range);
  EXPECT_FALSE(shared);
}

// Every thread takes part: each unit waits until all of them have begun.
TEST(WorkerPool, UnitsRunBesideEachOther) {
  constexpr int kThreads = 3;
  WorkerPool pool(kThreads);
  absl::Mutex mutex;
  for (int round = 0; round < 100; ++round) {
    int begun = 0;
    std::set<int> threads;
    pool.For(kThreads, [&](int, int thread) {
      absl::MutexLock lock(&mutex);
      ++begun;
      threads.insert(thread);
      mutex.Await(absl::Condition(
          +[](int* all) { return *all == kThreads; }, &begun));
    });
    EXPECT_EQ(threads, (std::set<int>{0, 1, 2}));
  }
}

TEST(WorkerPool, TheCallerIsThreadZero) {
  WorkerPool alone(1);
  std::thread::id ran;
  alone.For(1, [&](int, int thread) {
    EXPECT_EQ(thread, 0);
    ran = std::this_thread::get_id();
  });
  EXPECT_EQ(ran, std::this_thread::get_id());
  WorkerPool pool(2);
  std::atomic<bool> zero_is_caller = true;
  const std::thread::id caller = std::this_thread::get_id();
  pool.For(500, [&](int, int thread) {
    if ((thread == 0) != (std::this_thread::get_id() == caller)) zero_is_caller = false;
  });
  EXPECT_TRUE(zero_is_caller);
}

TEST(WorkerPool, EndsWithoutHavingWorked) {
  for (int i = 0; i < 50; ++i) WorkerPool pool(4);
}

TEST(UsableCpus, AreThoseOfTheThread) {
  const int before = UsableCpus();
  EXPECT_GE(before, 1);
  EXPECT_LE(before, 32);
  std::thread([] {
    cpu_set_t one;
    ASSERT_EQ(sched_getaffinity(0, sizeof(one), &one), 0);
    for (int cpu = 0; CPU_COUNT(&one) > 1; ++cpu) CPU_CLR(cpu, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    EXPECT_EQ(UsableCpus(), 1);
  }).join();
  EXPECT_EQ(UsableCpus(), before);
}

TEST(Serial, RunsUnitsInOrderOnTheCallersThread) {
  Serial serial;
  EXPECT_EQ(serial.threads(), 1);
  std::vector<int> order;
  serial.For(4, [&](int unit, int thread) {
    EXPECT_EQ(thread, 0);
    order.push_back(unit);
  });
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3}));
}

}  // namespace
}  // namespace waferstream
