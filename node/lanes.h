// Where a node's work runs that takes long: beside its loop, never on it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "core/role_core.h"

namespace waferstream {

// One lane: one piece of work after the other, in order. Called on the loop only.
// Danger: it may only be destroyed when nothing runs on it, or with everything that the work uses.
class LaneRunner {
 public:
  // On the loop, never from inside Run or Drop.
  using Done = std::function<void(uint64_t id, const absl::Status& status)>;

  virtual ~LaneRunner() = default;

  virtual void Run(ComputeAction action) = 0;
  // Drops what has not begun and returns how many that were; their Done is not called.
  virtual int Drop() = 0;
};

struct LaneTerms {
  const char* name = "lane";  // its row in a trace
  int threads = 1;            // of its kernels
  bool slow = false;          // reads and writes whole checkpoints: simulated time goes by the disk
};

// Makes the lanes of one node.
class Lanes {
 public:
  virtual ~Lanes() = default;
  virtual std::unique_ptr<LaneRunner> Make(const LaneTerms& terms, LaneRunner::Done done) = 0;
};

// A lane for whoever is no core: work with its continuation. On the loop.
class TaskLane {
 public:
  TaskLane(Lanes& lanes, const LaneTerms& terms)
      : lane_(lanes.Make(terms, [this](uint64_t, const absl::Status& status) {
          const auto then = std::move(then_.front());
          then_.pop_front();
          then(status);
        })) {}

  // `work` behind what was given before, then `then` with what it returned.
  void Run(std::function<absl::Status()> work, std::function<void(const absl::Status&)> then) {
    then_.push_back(std::move(then));
    lane_->Run({.lane = Lane::kDisk, .id = 0, .work = [work = std::move(work)](Parallel&) {
                  return work();
                }});
  }

 private:
  std::deque<std::function<void(const absl::Status&)>> then_;
  const std::unique_ptr<LaneRunner> lane_;  // last: it ends first
};

}  // namespace waferstream
