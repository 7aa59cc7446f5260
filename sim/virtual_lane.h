// One lane of computation on virtual time (node/lane_thread in production): one piece of work after
// the other. Work takes time; that it may touch its memory at any moment of it is tried out by
// doing it at the beginning or at the end, as the seed has it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>

#include "absl/status/status.h"
#include "node/role_core.h"
#include "sim/chaos_world.h"
#include "sim/sim_process.h"

namespace waferstream {

// Lives in a process, and goes with it, or once idle.
class VirtualLane {
 public:
  using Done = std::function<void(uint64_t id, const absl::Status& status)>;

  VirtualLane(ChaosWorld& world, SimProcess& process, Done done)
      : world_(world), process_(process), done_(std::move(done)) {}

  void Run(ComputeAction work) {
    queue_.push_back(std::move(work));
    if (queue_.size() == 1) Begin();
  }
  // Drops what has not begun; `done` is not called for it.
  void Drop() {
    if (!queue_.empty()) queue_.resize(1);
  }
  bool idle() const { return queue_.empty(); }

 private:
  void Begin() {
    absl::Status early;
    const bool at_end = world_.delays.Coin();
    if (!at_end) early = queue_.front().work(world_.parallel);
    process_.After(world_.delays.Delay(world_.pace.work_ns), [this, at_end, early] {
      End(at_end ? queue_.front().work(world_.parallel) : early);
    });
  }
  void End(const absl::Status& status) {
    const uint64_t id = queue_.front().id;
    queue_.pop_front();
    if (!queue_.empty()) Begin();
    done_(id, status);
  }

  ChaosWorld& world_;
  SimProcess& process_;
  const Done done_;
  std::deque<ComputeAction> queue_;  // the first one is running
};

}  // namespace waferstream
