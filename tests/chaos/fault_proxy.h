// A TCP proxy that a test misbehaves through.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/time/time.h"

namespace waferstream {

// Passes bytes on between whoever connects to port() and 127.0.0.1:target_port(), from a thread of
// its own, until destroyed. Every call takes effect soon after it; all may be called from any
// thread.
class FaultProxy {
 public:
  explicit FaultProxy(uint16_t target_port);
  ~FaultProxy();

  uint16_t port() const;
  uint16_t target_port() const;

  // Resets every connection. New ones are served.
  void Cut();
  // Holds every byte back, on old connections and new, until told not to; none is lost.
  void Stall(bool stalled);
  // From now on the connections there are take every byte that goes to the target, or comes from
  // it, or both, and pass none on, nor the end of the connection; for ever. New connections are
  // served.
  void Swallow(bool to_target, bool from_target);
  // Holds every piece (what one read gives) back for so long. Zero: no longer.
  void Delay(absl::Duration delay);
  // Flips one bit of the next piece of at least 64 bytes, which `random` chooses.
  void FlipBit(uint64_t random);

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace waferstream
