#include "controller/event_loop.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <thread>
#include <utility>

namespace waferstream {

struct EventLoop::Loop {
  boost::asio::io_context io{1};
  // Keeps run() from returning while there is nothing to do.
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  boost::asio::steady_timer timer{io};
  std::thread thread{[this] { io.run(); }};
};

EventLoop::EventLoop() : loop_(std::make_unique<Loop>()) {}

EventLoop::~EventLoop() { Drain(); }

void EventLoop::Post(Work work) { boost::asio::post(loop_->io, std::move(work)); }

void EventLoop::SetTimer(double steady_s, Work work) {
  const auto since_epoch = std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(steady_s));
  loop_->timer.expires_at(std::chrono::steady_clock::time_point(since_epoch));
  loop_->timer.async_wait([work = std::move(work)](const boost::system::error_code& error) mutable {
    if (!error) work();
  });
}

void EventLoop::Drain() {
  if (!loop_->thread.joinable()) return;
  Post([this] { loop_->io.stop(); });
  loop_->thread.join();
}

double SteadySeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace waferstream
