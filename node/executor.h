// The one thread that a node's cores and channels live on.
#pragma once

#include <functional>
#include <memory>
#include <type_traits>

#include "absl/synchronization/notification.h"

namespace boost::asio {
class io_context;
}

namespace waferstream {

// An io_context and its thread. Everything that touches a core, an epoch or a channel runs here, so
// none of them needs a lock. Danger: work that blocks here stops every tile of the node.
class Executor {
 public:
  Executor();
  // Stops: what is posted and has not begun is dropped, the running handler is waited for.
  ~Executor();

  // Any thread. In the order of the calls of one thread.
  void Post(std::function<void()> run);

  // Runs `run` on the executor and returns its result. From any other thread.
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

  boost::asio::io_context& io();

 private:
  struct Loop;  // keeps Asio out of this header
  std::unique_ptr<Loop> loop_;
};

}  // namespace waferstream
