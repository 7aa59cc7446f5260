#include "sim/control_call.h"

#include <memory>
#include <utility>

namespace waferstream {
namespace {

class Flight : public std::enable_shared_from_this<Flight> {
 public:
  Flight(ChaosWorld& world, ControlCall call)
      : world_(world), call_(std::move(call)), life_(call_.from->life()) {}

  void Begin() {
    call_.from->After(call_.timeout_ns, [self = shared_from_this()] {
      self->Finish(absl::DeadlineExceededError("deadline exceeded"));
    });
    if (Lost("call lost")) return Lose();
    Deliver();
    if (world_.Strikes(world_.weather.call_twice)) {
      world_.NoteFault("call served twice", call_.to->name());
      Deliver();
    }
  }

 private:
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
        Delay(), [self = shared_from_this()] { self->Serve(); },
        [self = shared_from_this()] {
          if (self->call_.to->isolated()) return;
          self->call_.from->After(self->Delay(), [self] { self->Refused(); });
        });
  }

  void Serve() {
    // If the callee ends meanwhile, its system closes the connection.
    const uint64_t watch = call_.to->OnEnd([self = shared_from_this()] {
      self->AnswerAfter(self->Delay(), absl::UnavailableError("connection closed"));
    });
    call_.serve([self = shared_from_this(), watch](const absl::StatusOr<ControlReply>& reply) {
      self->call_.to->Forget(watch);
      if (self->Lost("answer lost")) return self->Lose();
      self->AnswerAfter(self->Delay(), reply);
    });
  }

  void AnswerAfter(int64_t delay_ns, const absl::StatusOr<ControlReply>& reply) {
    call_.from->After(delay_ns, [self = shared_from_this(), reply] { self->Finish(reply); });
  }

  void Refused() {
    if (Ends()) call_.refused();
  }

  void Finish(const absl::StatusOr<ControlReply>& reply) {
    if (Ends()) call_.done(reply);
  }

  // Whether the caller still waits; from then on it does not.
  bool Ends() { return !std::exchange(over_, true) && call_.from->life() == life_; }

  ChaosWorld& world_;
  const ControlCall call_;
  const uint64_t life_;  // of the caller
  bool over_ = false;
};

}  // namespace

void MakeCall(ChaosWorld& world, ControlCall call) {
  std::make_shared<Flight>(world, std::move(call))->Begin();
}

}  // namespace waferstream
