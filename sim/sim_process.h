// One simulated process: it lives, is stopped and continued, and ends, at any moment.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "sim/sim_world.h"

namespace waferstream {

// Role: what is scheduled in a process happens in that life of it or never. While it is frozen
// (SIGSTOP) nothing happens in it; what was due then happens when it thaws, in order.
// Lifecycle: Begin -> End, again and again. Lives as long as the run. Danger: whoever ends a
// process then destroys what lived in it, at once.
class SimProcess final : public Loop {
 public:
  SimProcess(SimWorld& world, std::string name) : world_(world), name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  bool alive() const { return alive_; }
  bool frozen() const { return frozen_; }
  // How the last life ended.
  bool ended_silently() const { return ended_silently_; }
  // Counts its lives, from 1; of the present or last one.
  uint64_t life() const { return life_; }

  void Begin();
  // `silently`: the machine went, so nobody is told; else its peers see their connections closed.
  void End(bool silently);
  void Freeze(int64_t for_ns);
  // Control messages to and from it are lost for so long.
  void Isolate(int64_t for_ns);
  bool isolated() const { return world_.now_ns() < isolated_until_ns_; }

  // Loop: in this life, or when the process thaws.
  void Post(Work work) override { After(int64_t{0}, std::move(work)); }
  void After(absl::Duration delay, Work work) override {
    After(absl::ToInt64Nanoseconds(delay), std::move(work));
  }
  double now_s() const override { return world_.now_s(); }
  void After(int64_t delay_ns, Work work);
  // The same, in whichever life there is by then; `refused`, at once then, if there is none.
  void Reach(int64_t delay_ns, Work work, Work refused);

  // Calls `ended` when this life ends, unless it does silently. Returns a name for Forget.
  uint64_t OnEnd(std::function<void()> ended);
  void Forget(uint64_t id) { on_end_.erase(id); }

 private:
  void RunOrHold(uint64_t life, Work work);
  void Thaw(uint64_t life);

  SimWorld& world_;
  const std::string name_;
  bool alive_ = false;
  bool frozen_ = false;
  bool ended_silently_ = false;
  uint64_t life_ = 0;
  int64_t isolated_until_ns_ = 0;
  std::vector<Work> held_;  // due while frozen
  std::map<uint64_t, std::function<void()>> on_end_;
  uint64_t next_id_ = 1;
};

}  // namespace waferstream
