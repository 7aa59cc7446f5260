#include "node/lane_thread.h"

#include <sys/resource.h>

#include <utility>

#include "base/worker_pool.h"

namespace waferstream {
namespace {

// Kernel threads leave a contended core to the executor, so that tiles keep flowing while they
// compute; an idle executor costs them nothing. The worker pool's threads inherit it.
constexpr int kLaneNice = 5;

void LowerOwnPriority() {
  // On Linux a priority belongs to a thread, and 0 names the caller. Failing changes only speed.
  (void)setpriority(PRIO_PROCESS, 0, kLaneNice);
}

}  // namespace

LaneThread::LaneThread(int threads, Done done)
    : done_(std::move(done)), thread_([this, threads] { Loop(threads); }) {}

LaneThread::~LaneThread() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  thread_.join();
}

void LaneThread::Run(uint64_t id, Work work) {
  absl::MutexLock lock(&mutex_);
  queue_.push_back({id, std::move(work)});
}

int LaneThread::Drop() {
  std::deque<Item> dropped;  // destroyed after the lock is free
  absl::MutexLock lock(&mutex_);
  dropped.swap(queue_);
  return static_cast<int>(dropped.size());
}

void LaneThread::Loop(int threads) {
  LowerOwnPriority();
  WorkerPool pool(threads);
  while (true) {
    Item item;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &LaneThread::Ready));
      if (stop_) return;
      item = std::move(queue_.front());
      queue_.pop_front();
    }
    done_(item.id, item.work(pool));
  }
}

}  // namespace waferstream
