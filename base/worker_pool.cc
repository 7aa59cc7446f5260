#include "base/worker_pool.h"

#include <sched.h>

#include <algorithm>

namespace waferstream {

int UsableCpus() {
  constexpr int kMax = 32;
  cpu_set_t usable;
  // Fails where there are more processors than the set has room for.
  if (sched_getaffinity(0, sizeof(usable), &usable) != 0) return kMax;
  return std::min(CPU_COUNT(&usable), kMax);
}

WorkerPool::WorkerPool(int threads) {
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { Work(i); });
}

WorkerPool::~WorkerPool() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  for (std::thread& worker : workers_) worker.join();
}

void WorkerPool::Drain(int thread, const std::function<void(int, int)>& run, int units) {
  for (int i = next_.fetch_add(1); i < units; i = next_.fetch_add(1)) run(i, thread);
}

void WorkerPool::For(int units, const std::function<void(int, int)>& run) {
  {
    absl::MutexLock lock(&mutex_);
    next_ = 0;
    units_ = units;
    run_ = &run;
    running_ = static_cast<int>(workers_.size());
    ++generation_;
  }
  Drain(0, run, units);
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(
      +[](int* running) { return *running == 0; }, &running_));
}

void WorkerPool::Work(int thread) {
  uint64_t seen = 0;
  while (true) {
    const std::function<void(int, int)>* run = nullptr;
    int units = 0;
    {
      absl::MutexLock lock(&mutex_);
      auto ready = [this, seen]()
                       ABSL_NO_THREAD_SAFETY_ANALYSIS { return stop_ || generation_ != seen; };
      mutex_.Await(absl::Condition(&ready));
      if (stop_) return;
      seen = generation_;
      run = run_;
      units = units_;
    }
    Drain(thread, *run, units);
    absl::MutexLock lock(&mutex_);
    --running_;
  }
}

}  // namespace waferstream
