// A controller's world for tests in which nothing moves but what the test moves. Single-threaded.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "base/parallel.h"
#include "checkpoint/memory_disk.h"
#include "controller/controller_host.h"
#include "controller/job_store.h"

namespace waferstream {

class ManualLoop final : public Loop {
 public:
  void Post(Work work) override { due_.emplace(now_s_, std::move(work)); }
  void After(absl::Duration delay, Work work) override {
    due_.emplace(now_s_ + absl::ToDoubleSeconds(delay), std::move(work));
  }
  double now_s() const override { return now_s_; }

  // Lets what is due by then happen.
  void Pass(double seconds) {
    const double end_s = now_s_ + seconds;
    while (!due_.empty() && due_.begin()->first <= end_s) {
      auto first = due_.extract(due_.begin());
      now_s_ = first.key();
      first.mapped()();
    }
    now_s_ = end_s;
  }
  void Run() { Pass(0); }

 private:
  double now_s_ = 1000;
  std::multimap<double, Work> due_;
};

// Work is done when it is given, unless it is held: then when the test says so.
class ManualLanes final : public Lanes {
 public:
  explicit ManualLanes(Loop& loop) : loop_(loop) {}

  std::unique_ptr<LaneRunner> Make(const LaneTerms&, LaneRunner::Done done) override {
    return std::make_unique<Runner>(*this, std::move(done));
  }

  size_t waiting() const { return waiting_.size(); }
  void RunOne() {
    const std::function<void()> work = std::move(waiting_.front());
    waiting_.pop_front();
    work();
  }
  void RunAll() {
    while (!waiting_.empty()) RunOne();
  }

  bool held = false;

 private:
  class Runner final : public LaneRunner {
   public:
    Runner(ManualLanes& all, Done done) : all_(all), done_(std::move(done)) {}
    void Run(ComputeAction action) override {
      all_.waiting_.push_back([this, action = std::move(action)] {
        Serial serial;
        all_.loop_.Post(
            [this, id = action.id, status = action.work(serial)] { done_(id, status); });
      });
      if (!all_.held) all_.RunAll();
    }
    int Drop() override { return 0; }

   private:
    ManualLanes& all_;
    const Done done_;
  };

  Loop& loop_;
  std::deque<std::function<void()>> waiting_;
};

class NoNodes final : public NodeCalls {
 public:
  void Make(NodeCall, std::function<void(NodeCallResult)>) override {}
  void CancelAll() override {}
};

struct ManualWorld {
  ControllerWorld world() {
    return {.loop = loop,
            .lanes = lanes,
            .nodes = nodes,
            .store = *store,
            .write =
                [this](const std::vector<StoreRecord>& records) {
                  return disk.ok() ? store->Write(records) : disk;
                },
            .write_ahead = [this](const auto& records) { return store->WriteAhead(records); },
            .sync = [] { return absl::OkStatus(); },
            .files = files,
            .unix_s = [] { return 1.7e9; },
            .random_bits = [] { return uint64_t{1}; },
            .log = [](const std::string&) {}};
  }

  ManualLoop loop;
  ManualLanes lanes{loop};
  NoNodes nodes;
  std::unique_ptr<JobStore> store = *JobStore::Open(":memory:");
  absl::Status disk;  // the store's answer to a write
  MemoryDisk tree{1};
  MemoryDisk::View files{tree};
};

}  // namespace waferstream
