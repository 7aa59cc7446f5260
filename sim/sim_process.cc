#include "sim/sim_process.h"

#include <algorithm>

#include "base/status.h"

namespace waferstream {

void SimProcess::Begin() {
  WS_CHECK(!alive_);
  alive_ = true;
  ++life_;
}

void SimProcess::End(bool silently) {
  WS_CHECK(alive_);
  alive_ = false;
  ended_silently_ = silently;
  frozen_ = false;
  held_.clear();
  for (const auto& [id, ended] : std::exchange(on_end_, {})) {
    if (!silently) ended();
  }
}

void SimProcess::Freeze(int64_t for_ns) {
  WS_CHECK(alive_ && !frozen_);
  frozen_ = true;
  world_.queue.After(for_ns, [this, life = life_] { Thaw(life); });
}

void SimProcess::Isolate(int64_t for_ns) {
  isolated_until_ns_ = std::max(isolated_until_ns_, world_.now_ns() + for_ns);
}

void SimProcess::Thaw(uint64_t life) {
  if (!alive_ || life_ != life) return;
  world_.Note(name_, "continues");
  // Still frozen, so that what this causes comes behind what was held.
  for (Work& work : std::exchange(held_, {})) {
    if (!alive_ || life_ != life) return;
    work();
  }
  frozen_ = false;
}

void SimProcess::After(int64_t delay_ns, Work work) {
  world_.queue.After(delay_ns, [this, life = life_, work = std::move(work)]() mutable {
    RunOrHold(life, std::move(work));
  });
}

void SimProcess::Reach(int64_t delay_ns, Work work, Work refused) {
  world_.queue.After(delay_ns,
                     [this, work = std::move(work), refused = std::move(refused)]() mutable {
                       if (!alive_) return refused();
                       RunOrHold(life_, std::move(work));
                     });
}

void SimProcess::RunOrHold(uint64_t life, Work work) {
  if (!alive_ || life_ != life) return;
  if (frozen_) {
    held_.push_back(std::move(work));
    return;
  }
  work();
}

uint64_t SimProcess::OnEnd(std::function<void()> ended) {
  on_end_.emplace(next_id_, std::move(ended));
  return next_id_++;
}

}  // namespace waferstream
