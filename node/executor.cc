#include "node/executor.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <thread>
#include <utility>

namespace waferstream {

struct Executor::Loop {
  boost::asio::io_context io{1};
  // Keeps run() from returning while there is nothing to do.
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  std::thread thread{[this] { io.run(); }};
};

Executor::Executor() : loop_(std::make_unique<Loop>()) {}

Executor::~Executor() {
  loop_->io.stop();
  loop_->thread.join();
}

void Executor::Post(std::function<void()> run) { boost::asio::post(loop_->io, std::move(run)); }

boost::asio::io_context& Executor::io() { return loop_->io; }

}  // namespace waferstream
