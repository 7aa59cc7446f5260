// The lanes of a node on virtual time: one piece of work after the other. Work takes time; that it
// may touch its memory at any moment of it is tried out by doing it at the beginning or at the end,
// as the seed has it.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

#include "node/lanes.h"
#include "sim/sim_process.h"
#include "sim/sim_world.h"

namespace waferstream {

// Lives in a process, and goes with it, or once idle.
class VirtualLane final : public LaneRunner {
 public:
  VirtualLane(SimWorld& world, SimProcess& process, bool slow, Done done)
      : world_(world), process_(process), slow_(slow), done_(std::move(done)) {}

  void Run(ComputeAction action) override {
    queue_.push_back(std::move(action));
    if (queue_.size() == 1) Begin();
  }
  int Drop() override {
    const size_t waiting = queue_.empty() ? 0 : queue_.size() - 1;
    queue_.resize(queue_.size() - waiting);
    return static_cast<int>(waiting);
  }

 private:
  int64_t TakesNs() {
    if (!slow_) return world_.delays.Delay(world_.pace.work_ns);
    const int64_t takes_ns = world_.delays.Delay(world_.pace.disk_ns);
    if (!world_.Strikes(world_.weather.work_slow)) return takes_ns;
    world_.NoteFault("slow disk work", process_.name());
    return takes_ns + world_.delays.UpTo(4 * world_.pace.lease_ns);
  }
  void Begin() {
    absl::Status early;
    const bool at_end = world_.delays.Coin();
    if (!at_end) early = queue_.front().work(world_.parallel);
    process_.After(TakesNs(), [this, at_end, early] {
      End(at_end ? queue_.front().work(world_.parallel) : early);
    });
  }
  void End(const absl::Status& status) {
    const uint64_t id = queue_.front().id;
    queue_.pop_front();
    if (!queue_.empty()) Begin();
    const Done done = done_;  // which may end this lane
    done(id, status);
  }

  SimWorld& world_;
  SimProcess& process_;
  const bool slow_;
  const Done done_;
  std::deque<ComputeAction> queue_;  // the first one is running
};

class VirtualLanes final : public Lanes {
 public:
  VirtualLanes(SimWorld& world, SimProcess& process) : world_(world), process_(process) {}

  std::unique_ptr<LaneRunner> Make(const LaneTerms& terms, LaneRunner::Done done) override {
    return std::make_unique<VirtualLane>(world_, process_, terms.slow, std::move(done));
  }

 private:
  SimWorld& world_;
  SimProcess& process_;
};

}  // namespace waferstream
