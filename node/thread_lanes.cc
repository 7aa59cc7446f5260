#include "node/thread_lanes.h"

#include <sys/resource.h>

#include <deque>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/trace.h"
#include "base/worker_pool.h"

namespace waferstream {
namespace {

// Kernel threads leave a contended core to the loop, so that tiles keep flowing while they compute;
// an idle loop costs them nothing. The worker pool's threads inherit it.
constexpr int kLaneNice = 5;

// Work of at most so much is done on the loop, if the lane is idle: the hop to a thread and back
// takes as long where processes share few cores.
constexpr uint64_t kWorthAThreadNs = 50'000;

void LowerOwnPriority() {
  // On Linux a priority belongs to a thread, and 0 names the caller. Failing changes only speed.
  (void)setpriority(PRIO_PROCESS, 0, kLaneNice);
}

// Its queue holds what the core has started, which the core bounds by its buffers.
class LaneThread final : public LaneRunner {
 public:
  LaneThread(Loop& loop, const LaneTerms& terms, Done done)
      : loop_(loop),
        name_(terms.name),
        done_(std::move(done)),
        thread_([this, threads = terms.threads] { Serve(threads); }) {}

  ~LaneThread() override {
    {
      absl::MutexLock lock(&mutex_);
      stop_ = true;
    }
    thread_.join();
  }

  void Run(ComputeAction action) override {
    const bool little = action.about_ns > 0 && action.about_ns <= kWorthAThreadNs;
    if (little && IsIdle()) return RunHere(action);
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
        working_ = true;
      }
      const absl::Status status = Work(action, pool);
      absl::MutexLock lock(&mutex_);
      working_ = false;
      loop_.Post([done = done_, id = action.id, status] { done(id, status); });
    }
  }

  absl::Status Work(const ComputeAction& action, Parallel& parallel) const {
    if (!Traces()) return action.work(parallel);
    const double begun_s = TraceClock();
    const absl::Status status = action.work(parallel);
    TraceSpan(name_, action.what, begun_s, TraceClock());
    return status;
  }

  bool IsIdle() {
    absl::MutexLock lock(&mutex_);
    return queue_.empty() && !working_;
  }

  // Behind nothing, and before whatever the loop gives this lane next.
  void RunHere(const ComputeAction& action) {
    Serial serial;
    loop_.Post([done = done_, id = action.id, status = Work(action, serial)] { done(id, status); });
  }

  bool Ready() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stop_ || !queue_.empty(); }

  Loop& loop_;
  const char* const name_;
  const Done done_;
  absl::Mutex mutex_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  bool working_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<ComputeAction> queue_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace

std::unique_ptr<LaneRunner> ThreadLanes::Make(const LaneTerms& terms, LaneRunner::Done done) {
  return std::make_unique<LaneThread>(loop_, terms, std::move(done));
}

}  // namespace waferstream
