#include "node/thread_lanes.h"

#include <sys/resource.h>

#include <deque>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/worker_pool.h"

namespace waferstream {
namespace {

// Kernel threads leave a contended core to the loop, so that tiles keep flowing while they compute;
// an idle loop costs them nothing. The worker pool's threads inherit it.
constexpr int kLaneNice = 5;

void LowerOwnPriority() {
  // On Linux a priority belongs to a thread, and 0 names the caller. Failing changes only speed.
  (void)setpriority(PRIO_PROCESS, 0, kLaneNice);
}

// Its queue holds what the core has started, which the core bounds by its buffers.
class LaneThread final : public LaneRunner {
 public:
  LaneThread(Loop& loop, int threads, Done done)
      : loop_(loop), done_(std::move(done)), thread_([this, threads] { Serve(threads); }) {}

  ~LaneThread() override {
    {
      absl::MutexLock lock(&mutex_);
      stop_ = true;
    }
    thread_.join();
  }

  void Run(ComputeAction action) override {
    absl::MutexLock lock(&mutex_);
    queue_.push_back(std::move(action));
  }

  int Drop() override {
    std::deque<ComputeAction> dropped;  // destroyed after the lock is free
    absl::MutexLock lock(&mutex_);
    dropped.swap(queue_);
    return static_cast<int>(dropped.size());
  }

 private:
  void Serve(int threads) {
    LowerOwnPriority();
    WorkerPool pool(threads);
    while (true) {
      ComputeAction action;
      {
        absl::MutexLock lock(&mutex_);
        mutex_.Await(absl::Condition(this, &LaneThread::Ready));
        if (stop_) return;
        action = std::move(queue_.front());
        queue_.pop_front();
      }
      loop_.Post([done = done_, id = action.id, status = action.work(pool)] { done(id, status); });
    }
  }

  bool Ready() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stop_ || !queue_.empty(); }

  Loop& loop_;
  const Done done_;
  absl::Mutex mutex_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<ComputeAction> queue_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace

std::unique_ptr<LaneRunner> ThreadLanes::Make(const LaneTerms& terms, LaneRunner::Done done) {
  return std::make_unique<LaneThread>(loop_, terms.threads, std::move(done));
}

}  // namespace waferstream
