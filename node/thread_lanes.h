// The lanes of production: a thread each.
#pragma once

#include <memory>

#include "base/loop.h"
#include "node/lanes.h"

namespace waferstream {

// Work runs with `threads` kernel threads, the lane's own included. A lane's destruction waits for
// the running work.
class ThreadLanes final : public Lanes {
 public:
  // `loop` outlives the lanes.
  explicit ThreadLanes(Loop& loop) : loop_(loop) {}

  std::unique_ptr<LaneRunner> Make(const LaneTerms& terms, LaneRunner::Done done) override;

 private:
  Loop& loop_;
};

}  // namespace waferstream
