// A fixed set of threads that share out the units of one piece of work.
#pragma once

#include <functional>

namespace waferstream {

// Runs unit(i, thread) for every i in [0, units), in any order; `thread` < threads() names
// per-thread workspace. Returns when all are done. The partition into units is the caller's and
// must not depend on threads(): that is what keeps results equal for any number of them.
class Parallel {
 public:
  virtual ~Parallel() = default;
  virtual int threads() const = 0;
  virtual void For(int units, const std::function<void(int unit, int thread)>& run) = 0;
};

// Everything on the calling thread.
class Serial final : public Parallel {
 public:
  int threads() const override { return 1; }
  void For(int units, const std::function<void(int, int)>& run) override {
    for (int i = 0; i < units; ++i) run(i, 0);
  }
};

}  // namespace waferstream
