// Virtual time: events in order of (time, when they were scheduled). Single-threaded; equal inputs
// give equal orders, always.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/status.h"

namespace waferstream {

class EventQueue {
 public:
  int64_t now_ns() const { return now_ns_; }

  // `time_ns` is not in the past.
  void At(int64_t time_ns, absl::AnyInvocable<void()> run) {
    WS_CHECK(time_ns >= now_ns_);
    heap_.push_back({time_ns, scheduled_++, std::move(run)});
    std::push_heap(heap_.begin(), heap_.end(), Later);
  }
  void After(int64_t delay_ns, absl::AnyInvocable<void()> run) {
    At(now_ns_ + delay_ns, std::move(run));
  }

  // Forgets everything, also what is scheduled by that.
  void Clear() {
    while (!heap_.empty()) std::exchange(heap_, {}).clear();
  }

  // Moves time to the earliest event and runs it. False: there is none.
  bool RunNext() {
    if (heap_.empty()) return false;
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    Event event = std::move(heap_.back());
    heap_.pop_back();
    now_ns_ = event.time_ns;
    event.run();
    return true;
  }

 private:
  struct Event {
    int64_t time_ns;
    uint64_t sequence;
    absl::AnyInvocable<void()> run;
  };
  static bool Later(const Event& a, const Event& b) {
    return std::pair(a.time_ns, a.sequence) > std::pair(b.time_ns, b.sequence);
  }

  int64_t now_ns_ = 0;
  uint64_t scheduled_ = 0;
  std::vector<Event> heap_;
};

}  // namespace waferstream
