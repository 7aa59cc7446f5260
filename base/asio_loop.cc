#include "base/asio_loop.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <thread>
#include <utility>

namespace waferstream {

struct AsioLoop::Thread {
  boost::asio::io_context io{1};
  // Keeps run() from returning while there is nothing to do.
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  std::thread thread{[this] { io.run(); }};
};

AsioLoop::AsioLoop() : thread_(std::make_unique<Thread>()) {}

AsioLoop::~AsioLoop() {
  thread_->io.stop();
  if (thread_->thread.joinable()) thread_->thread.join();
}

void AsioLoop::Post(Work work) { boost::asio::post(thread_->io, std::move(work)); }

void AsioLoop::After(absl::Duration delay, Work work) {
  auto timer = std::make_shared<boost::asio::steady_timer>(thread_->io);
  timer->expires_after(absl::ToChronoNanoseconds(delay));
  boost::asio::steady_timer& waits = *timer;
  waits.async_wait([timer = std::move(timer),
                    work = std::move(work)](const boost::system::error_code& error) mutable {
    if (!error) work();
  });
}

double AsioLoop::now_s() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void AsioLoop::Drain() {
  if (!thread_->thread.joinable()) return;
  Post([this] { thread_->io.stop(); });
  thread_->thread.join();
}

boost::asio::io_context& AsioLoop::io() { return thread_->io; }

}  // namespace waferstream
