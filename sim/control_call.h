// One control call (gRPC in production) between two simulated processes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "sim/sim_process.h"
#include "sim/sim_world.h"

namespace waferstream {

template <typename Reply>
struct ControlCall {
  using Answer = std::function<void(absl::StatusOr<Reply>)>;

  SimProcess* from;
  SimProcess* to;
  // In `to`: does what is asked and answers, once, then or later.
  std::function<void(Answer)> serve;
  // In `from`, exactly once, if it lives.
  Answer done;
  // In `from`, instead of `done`: nobody listens there.
  std::function<void()> refused;
  int64_t timeout_ns;
};

// The request or its answer may be late, get lost, or be served twice. What a caller sees of a loss
// is UNAVAILABLE soon or DEADLINE_EXCEEDED in the end, as the seed has it.
template <typename Reply>
class ControlFlight : public std::enable_shared_from_this<ControlFlight<Reply>> {
 public:
  static void Begin(SimWorld& world, ControlCall<Reply> call) {
    std::make_shared<ControlFlight>(world, std::move(call))->Begin();
  }

  ControlFlight(SimWorld& world, ControlCall<Reply> call)
      : world_(world), call_(std::move(call)), life_(call_.from->life()) {}

 private:
  void Begin() {
    call_.from->After(call_.timeout_ns, [self = this->shared_from_this()] {
      self->Finish(absl::DeadlineExceededError("deadline exceeded"));
    });
    if (Lost("call lost")) return Lose();
    Deliver();
    if (world_.Strikes(world_.weather.call_twice)) {
      world_.NoteFault("call served twice", call_.to->name());
      Deliver();
    }
  }

  int64_t Delay() { return world_.delays.Delay(world_.pace.call_ns); }

  bool Lost(const char* kind) {
    if (call_.from->isolated() || call_.to->isolated()) return true;
    if (!world_.Strikes(world_.weather.call_lost)) return false;
    world_.NoteFault(kind, call_.to->name());
    return true;
  }

  // A coin: silence, or a connection that broke.
  void Lose() {
    if (!world_.messages.Coin()) return;
    AnswerAfter(Delay(), absl::UnavailableError("connection reset"));
  }

  void Deliver() {
    call_.to->Reach(
        Delay(), [self = this->shared_from_this()] { self->Serve(); },
        [self = this->shared_from_this()] {
          if (self->call_.to->isolated()) return;
          self->call_.from->After(self->Delay(), [self] { self->Refused(); });
        });
  }

  void Serve() {
    // If the callee ends meanwhile, its system closes the connection.
    const uint64_t watch = call_.to->OnEnd([self = this->shared_from_this()] {
      self->AnswerAfter(self->Delay(), absl::UnavailableError("connection closed"));
    });
    call_.serve([self = this->shared_from_this(), watch](const absl::StatusOr<Reply>& reply) {
      self->call_.to->Forget(watch);
      if (self->Lost("answer lost")) return self->Lose();
      self->AnswerAfter(self->Delay(), reply);
    });
  }

  void AnswerAfter(int64_t delay_ns, const absl::StatusOr<Reply>& reply) {
    call_.from->After(delay_ns, [self = this->shared_from_this(), reply] { self->Finish(reply); });
  }

  void Refused() {
    if (Ends()) call_.refused();
  }

  void Finish(const absl::StatusOr<Reply>& reply) {
    if (Ends()) call_.done(reply);
  }

  // Whether the caller still waits; from then on it does not.
  bool Ends() { return !std::exchange(over_, true) && call_.from->life() == life_; }

  SimWorld& world_;
  const ControlCall<Reply> call_;
  const uint64_t life_;  // of the caller
  bool over_ = false;
};

}  // namespace waferstream
