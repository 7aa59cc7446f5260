// One lane of computation: a thread that does one piece of work after the other.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "base/parallel.h"

namespace waferstream {

// Role: runs what a core puts on a Lane, in order, with `threads` kernel threads (this one
// included), and hands every result to `done`, on its own thread. Its queue holds what the core has
// started, which the core bounds by its buffers.
// Run and Drop may be called from any thread. Danger: destruction waits for the running work.
class LaneThread {
 public:
  using Work = std::function<absl::Status(Parallel&)>;
  using Done = std::function<void(uint64_t id, const absl::Status& status)>;

  LaneThread(int threads, Done done);
  ~LaneThread();

  void Run(uint64_t id, Work work);
  // Drops what has not begun and returns how many that were; their `done` is not called.
  int Drop();

 private:
  struct Item {
    uint64_t id;
    Work work;
  };
  void Loop(int threads);
  bool Ready() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stop_ || !queue_.empty(); }

  const Done done_;
  absl::Mutex mutex_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<Item> queue_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace waferstream
