// One thing after the other: what a core, its shell and its channels live on.
#pragma once

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"

namespace waferstream {

// Runs pieces of work one at a time, each to its end. What lives on a loop needs no lock. In
// production it is a thread (base/asio_loop.h), in a simulation virtual time.
// Danger: work that blocks stops everything behind it.
class Loop {
 public:
  using Work = absl::AnyInvocable<void()>;

  virtual ~Loop() = default;

  // Runs `work` behind what the same caller posted before. From anywhere.
  virtual void Post(Work work) = 0;
  // Runs `work` once `delay` has passed. On the loop.
  virtual void After(absl::Duration delay, Work work) = 0;
  // Monotonic seconds, from any origin.
  virtual double now_s() const = 0;
};

}  // namespace waferstream
