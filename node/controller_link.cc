#include "node/controller_link.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mark.h"

namespace waferstream {

ControllerLink::ControllerLink(Loop& loop, ControllerCalls& controller,
                               ControllerLinkOptions options, NodeLog log, Lost lost)
    : loop_(loop),
      controller_(controller),
      options_(std::move(options)),
      log_(std::move(log)),
      lost_(std::move(lost)),
      heartbeat_every_(options_.heartbeat_every) {}

void ControllerLink::Start(RegisterRequest me) {
  me_ = std::move(me);
  heard_s_ = loop_.now_s();
  Beat();
  if (!reports_.empty()) Deliver();
}

void ControllerLink::Heard(const absl::Status& status) {
  if (!IsSilence(status)) heard_s_ = loop_.now_s();
}

void ControllerLink::GiveUp(const absl::Status& why) {
  if (!std::exchange(lost_already_, true)) lost_(why);
}

// -- the lease ---------------------------------------------------------------------------------

template <typename Request>
void ControllerLink::SayHowItIs(Request& request) const {
  if (const std::optional<EpochRef> held = Held()) *request.mutable_holds() = *held;
  request.set_leaving(leaving());
}

void ControllerLink::BeatAfter(absl::Duration pause) {
  loop_.After(pause, [this, beat = ++next_beat_] {
    if (beat == next_beat_) Beat();
  });
}

void ControllerLink::Beat() {
  beating_ = true;
  if (!registered_) {
    RegisterRequest me = *me_;
    SayHowItIs(me);
    return controller_.Register(me, [this](const absl::StatusOr<RegisterReply>& reply) {
      if (reply.ok() && reply->heartbeat_ms() > 0) {
        heartbeat_every_ = absl::Milliseconds(reply->heartbeat_ms());
      }
      OnBeat(reply.status(), false);
    });
  }
  HeartbeatRequest request;
  request.set_node_id(me_->node_id());
  request.set_incarnation(me_->incarnation());
  SayHowItIs(request);
  controller_.Heartbeat(request, [this](const absl::StatusOr<HeartbeatReply>& reply) {
    OnBeat(reply.status(), reply.ok() && reply->may_go());
  });
}

void ControllerLink::OnBeat(const absl::Status& status, bool may_go) {
  beating_ = false;
  Heard(status);
  if (leaving() && (may_go || IsSilence(status)) && !Held().has_value()) {
    return Go(absl::OkStatus());
  }
  const bool was_silent = std::exchange(silent_, IsSilence(status));
  if (silent_) {
    if (!was_silent) log_(LogLevel::kWarning, absl::StrCat("controller: ", status.message()));
    if (loop_.now_s() - heard_s_ >= absl::ToDoubleSeconds(Patience())) {
      return GiveUp(absl::UnavailableError(
          absl::StrCat("no answer from the controller at ", options_.address, " for ",
                       absl::FormatDuration(Patience()), ": ", status.message())));
    }
  } else if (!registered_ && !status.ok()) {
    return GiveUp(status);
  } else if (absl::IsNotFound(status)) {
    registered_ = false;  // the controller restarted, or took this node for lost
  } else if (!registered_) {
    registered_ = true;
    log_(LogLevel::kInfo, absl::StrCat("registered with the controller at ", options_.address));
  }
  const bool may_wait = status.ok() && !leaving();
  BeatAfter(may_wait ? heartbeat_every_ : std::min(heartbeat_every_, options_.retry_pause));
}

// -- leaving -----------------------------------------------------------------------------------

void ControllerLink::Leave(absl::Duration grace, Left left) {
  if (leaving()) return;
  left_ = std::move(left);
  loop_.After(grace, [this, grace] { EndGrace(grace); });
  if (!me_.has_value()) return loop_.Post([this] { Go(absl::OkStatus()); });
  if (!beating_) BeatAfter(absl::ZeroDuration());
}

absl::Duration ControllerLink::Patience() const {
  return leaving() ? std::min(options_.patience, options_.leave_patience) : options_.patience;
}

void ControllerLink::Go(const absl::Status& how) {
  if (lost_already_) return;
  if (const Left left = std::exchange(*left_, nullptr)) left(how);
}

void ControllerLink::EndGrace(absl::Duration grace) {
  if (*left_ == nullptr) return;
  WS_MARK("node: its grace was over before it could leave");
  const std::optional<EpochRef> held = Held();
  Go(absl::DeadlineExceededError(absl::StrCat(
      "the grace period of ", absl::FormatDuration(grace), " is over: this node ends, and ",
      held.has_value() ? absl::StrCat("what it holds of ", held->job_id(), " is lost with it")
                       : "the controller has not let it go")));
}

// -- reports -----------------------------------------------------------------------------------

void ControllerLink::Report(NodeReport report) {
  if (static_cast<int>(reports_.size()) >= options_.reports_max) {
    return GiveUp(absl::UnavailableError(
        absl::StrCat(options_.reports_max, " reports wait for the controller")));
  }
  report.set_node_id(options_.node_id);
  reports_.push_back(std::move(report));
  if (me_.has_value() && reports_.size() == 1) Deliver();
}

void ControllerLink::Deliver() {
  controller_.Report(reports_.front(), [this](const absl::Status& status) { OnDelivered(status); });
}

void ControllerLink::OnDelivered(const absl::Status& status) {
  Heard(status);
  // NOT_FOUND: the controller has restarted, and the next beat registers again.
  if (IsSilence(status) || absl::IsNotFound(status)) {
    return loop_.After(options_.retry_pause, [this] { Deliver(); });
  }
  if (!status.ok()) {
    const NodeReport& refused = reports_.front();
    log_(LogLevel::kWarning,
         absl::StrCat("the controller refused report ", refused.sequence(), " of job ",
                      refused.job_id(), " epoch ", refused.epoch(), ": ", status.message()));
  }
  reports_.pop_front();
  if (!reports_.empty()) Deliver();
}

}  // namespace waferstream
