// The loop of production: an io_context and its thread.
#pragma once

#include <memory>
#include <type_traits>

#include "absl/synchronization/notification.h"
#include "base/loop.h"

namespace boost::asio {
class io_context;
}

namespace waferstream {

// Runs from construction to Drain or destruction. All but Drain: from any thread.
class AsioLoop final : public Loop {
 public:
  AsioLoop();
  // What has not begun is dropped; the running work is waited for.
  ~AsioLoop() override;

  void Post(Work work) override;
  void After(absl::Duration delay, Work work) override;
  double now_s() const override;

  // Runs `run` on the loop and returns its result. From another thread.
  template <typename Run>
  auto Call(Run run) {
    std::invoke_result_t<Run> result;
    absl::Notification done;
    Post([&] {
      result = run();
      done.Notify();
    });
    done.WaitForNotification();
    return result;
  }

  // Runs what was posted so far, then stops for good. From another thread.
  void Drain();

  // For adapters that do I/O on this loop.
  boost::asio::io_context& io();

 private:
  struct Thread;  // keeps Asio out of this header
  std::unique_ptr<Thread> thread_;
};

}  // namespace waferstream
