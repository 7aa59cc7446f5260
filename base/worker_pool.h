// The production Parallel: the caller's thread and threads-1 more.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/parallel.h"

namespace waferstream {

// The processors that this thread may run on (a CPU set, taskset); at most 32, for hosts whose
// hundreds a container may see, and not have.
int UsableCpus();

// For() may be called from one thread at a time.
class WorkerPool final : public Parallel {
 public:
  explicit WorkerPool(int threads);
  ~WorkerPool() override;

  int threads() const override { return static_cast<int>(workers_.size()) + 1; }
  void For(int units, const std::function<void(int unit, int thread)>& run) override;

 private:
  void Work(int thread);
  void Drain(int thread, const std::function<void(int, int)>& run, int units);

  absl::Mutex mutex_;
  uint64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;  // counts calls of For
  int running_ ABSL_GUARDED_BY(mutex_) = 0;          // workers still inside the current call
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  int units_ ABSL_GUARDED_BY(mutex_) = 0;
  const std::function<void(int, int)>* run_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::atomic<int> next_{0};  // first unit nobody has taken
  std::vector<std::thread> workers_;
};

}  // namespace waferstream
