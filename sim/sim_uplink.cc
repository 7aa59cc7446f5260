#include "sim/sim_uplink.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace waferstream {
namespace {

bool IsSilence(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

SimUplink::SimUplink(ChaosWorld& world, SimProcess& process, SimControllerService& controller,
                     RegisterRequest me, std::function<std::optional<EpochRef>()> holds,
                     std::function<void(const absl::Status&)> lost)
    : world_(world),
      process_(process),
      controller_(controller),
      me_(std::move(me)),
      holds_(std::move(holds)),
      lost_(std::move(lost)),
      heartbeat_ns_(world.pace.heartbeat_ns),
      heard_ns_(world.now_ns()) {
  // Behind the constructor: the shell, which is asked what it holds, is made after this.
  process_.After(0, [this] { Beat(); });
}

template <typename Request>
void SimUplink::SayWhatIsHeld(Request& request) const {
  const std::optional<EpochRef> held = holds_();
  if (held.has_value()) *request.mutable_holds() = *held;
}

void SimUplink::Call(std::function<void(ControlAnswer)> serve, ControlAnswer done) {
  MakeCall(world_, {.from = &process_,
                    .to = &controller_.process(),
                    .serve = std::move(serve),
                    .done =
                        [this, done](const absl::StatusOr<ControlReply>& reply) {
                          if (!IsSilence(reply.status())) heard_ns_ = world_.now_ns();
                          done(reply);
                        },
                    .refused = [done] { done(absl::UnavailableError("connection refused")); },
                    .timeout_ns = world_.pace.call_timeout_ns});
}

// -- the lease ---------------------------------------------------------------------------------

void SimUplink::Beat() {
  const auto done = [this](const absl::StatusOr<ControlReply>& reply) { OnBeat(reply); };
  if (!registered_) {
    RegisterRequest me = me_;
    SayWhatIsHeld(me);
    return Call([to = &controller_,
                 me = std::move(me)](ControlAnswer answer) { to->Register(me, std::move(answer)); },
                done);
  }
  HeartbeatRequest request;
  request.set_node_id(me_.node_id());
  request.set_incarnation(me_.incarnation());
  SayWhatIsHeld(request);
  Call([to = &controller_,
        request](ControlAnswer answer) { to->Heartbeat(request, std::move(answer)); },
       done);
}

void SimUplink::OnBeat(const absl::StatusOr<ControlReply>& reply) {
  world_.Note(process_.name(), registered_ ? "heartbeat: " : "registration: ",
              absl::StatusCodeToString(reply.status().code()));
  int64_t pause_ns = std::min(heartbeat_ns_, world_.pace.retry_ns);
  if (IsSilence(reply.status())) {
    if (world_.now_ns() - heard_ns_ >= world_.pace.patience_ns) return lost_(reply.status());
  } else if (!registered_ && !reply.ok()) {
    return lost_(reply.status());
  } else if (absl::IsNotFound(reply.status())) {
    registered_ = false;
  } else if (!registered_) {
    registered_ = true;
    world_.Note(process_.name(), "registered");
  }
  if (reply.ok()) pause_ns = heartbeat_ns_;
  process_.After(pause_ns, [this] { Beat(); });
}

// -- reports -----------------------------------------------------------------------------------

void SimUplink::Report(NodeReport report) {
  report.set_node_id(me_.node_id());
  reports_.push_back(std::move(report));
  if (reports_.size() > kReportsMax) {
    world_.Violate(absl::StrCat(me_.node_id(), " has ", reports_.size(), " reports waiting"));
  }
  if (reports_.size() == 1) Deliver();
}

void SimUplink::Deliver() {
  // By value: what is served may outlive this life.
  Call([to = &controller_,
        report = reports_.front()](ControlAnswer answer) { to->Report(report, std::move(answer)); },
       [this](const absl::StatusOr<ControlReply>& reply) { OnDelivered(reply.status()); });
}

void SimUplink::OnDelivered(const absl::Status& status) {
  if (IsSilence(status) || absl::IsNotFound(status)) {
    return process_.After(world_.pace.retry_ns, [this] { Deliver(); });
  }
  reports_.pop_front();
  if (!reports_.empty()) Deliver();
}

}  // namespace waferstream
