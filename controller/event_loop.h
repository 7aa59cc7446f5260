// One thread that runs what is posted to it, in order, and one timer.
#pragma once

#include <functional>
#include <memory>

#include "absl/functional/any_invocable.h"

namespace waferstream {

// Lifecycle: runs from construction to Drain. Post may be called from any thread; SetTimer only
// from the loop's own. Danger: work that blocks stops everything behind it.
class EventLoop {
 public:
  using Work = absl::AnyInvocable<void()>;

  EventLoop();
  ~EventLoop();  // drains

  void Post(Work work);

  // Runs `work` once when SteadySeconds() reaches `steady_s`; replaces the timer set before.
  void SetTimer(double steady_s, Work work);

  // Runs what was posted so far, then stops; what is posted afterwards never runs. Not from the
  // loop's own thread.
  void Drain();

 private:
  struct Loop;  // keeps Asio out of this header
  std::unique_ptr<Loop> loop_;
};

// The steady clock that SetTimer goes by.
double SteadySeconds();

}  // namespace waferstream
