#include "node/controller_link.h"

#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "rpc/channel.h"
#include "rpc/status.h"

namespace waferstream {
namespace {

// Destruction waits for a call that runs, so this must stay below the 5 s that a node has to stop.
constexpr absl::Duration kCallTimeout = absl::Seconds(3);
constexpr absl::Duration kRetryPause = absl::Milliseconds(200);

// Nobody answered: the controller may be restarting.
bool IsSilence(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

ControllerLink::ControllerLink(ControllerLinkOptions options, Lost lost)
    : options_(std::move(options)),
      lost_(std::move(lost)),
      stub_(Controller::NewStub(
          OpenChannel(options_.address, kNodeToController, options_.credentials))) {}

ControllerLink::~ControllerLink() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  if (beat_.joinable()) beat_.join();
  if (deliver_.joinable()) deliver_.join();
}

void ControllerLink::Start(RegisterRequest me) {
  me_ = std::move(me);
  absl::MutexLock lock(&mutex_);
  last_heard_ = absl::Now();
  beat_ = std::thread([this] { Beat(); });
  deliver_ = std::thread([this] { Deliver(); });
}

void ControllerLink::Report(NodeReport report) {
  report.set_node_id(options_.node_id);
  {
    absl::MutexLock lock(&mutex_);
    if (static_cast<int>(reports_.size()) < options_.reports_max) {
      reports_.push_back(std::move(report));
      return;
    }
  }
  GiveUp(absl::UnavailableError(
      absl::StrCat(options_.reports_max, " reports wait for the controller")));
}

// -- the two threads ---------------------------------------------------------------------------

void ControllerLink::Beat() {
  bool registered = false;
  absl::Status before;  // how the call before ended, so that a silence is logged once
  while (true) {
    const absl::Status status = registered ? HeartbeatOnce() : RegisterOnce();
    if (IsSilence(status)) {
      if (!IsSilence(before)) spdlog::warn("controller: {}", std::string(status.message()));
      if (SilentTooLong()) return GiveUp(SilenceError(status));
    } else if (!registered && !status.ok()) {
      return GiveUp(status);
    } else if (absl::IsNotFound(status)) {
      registered = false;  // the controller restarted, or took this node for lost
    } else if (!registered) {
      registered = true;
      spdlog::info("registered with the controller at {}", options_.address);
    }
    before = status;
    if (WaitForStop(PauseAfter(status))) return;
  }
}

absl::Duration ControllerLink::PauseAfter(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (status.ok()) return heartbeat_every_;
  return std::min(heartbeat_every_, kRetryPause);
}

bool ControllerLink::SilentTooLong() {
  absl::MutexLock lock(&mutex_);
  return absl::Now() - last_heard_ >= options_.patience;
}

absl::Status ControllerLink::SilenceError(const absl::Status& last) const {
  return absl::UnavailableError(absl::StrCat("no answer from the controller at ", options_.address,
                                             " for ", absl::FormatDuration(options_.patience), ": ",
                                             last.message()));
}

void ControllerLink::Deliver() {
  while (true) {
    NodeReport report;
    {
      absl::MutexLock lock(&mutex_);
      auto ready = [this]()
                       ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stop_ || !reports_.empty(); };
      mutex_.Await(absl::Condition(&ready));
      if (stop_) return;
      report = reports_.front();
    }
    absl::Status status = ReportOnce(report);
    // NOT_FOUND: the controller has restarted; the other thread is about to register again.
    while (IsSilence(status) || absl::IsNotFound(status)) {
      if (WaitForStop(kRetryPause)) return;
      status = ReportOnce(report);
    }
    if (!status.ok()) {
      spdlog::warn("the controller refused report {} of job {} epoch {}: {}", report.sequence(),
                   report.job_id(), report.epoch(), std::string(status.message()));
    }
    absl::MutexLock lock(&mutex_);
    reports_.pop_front();
  }
}

void ControllerLink::GiveUp(const absl::Status& why) {
  {
    absl::MutexLock lock(&mutex_);
    if (std::exchange(lost_already_, true)) return;
  }
  lost_(why);
}

bool ControllerLink::WaitForStop(absl::Duration at_most) {
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(&stop_), at_most);
}

// -- the calls ---------------------------------------------------------------------------------

absl::Status ControllerLink::RegisterOnce() {
  RegisterReply reply;
  const absl::Status status = Call(&Controller::Stub::Register, me_, &reply);
  if (!status.ok() || reply.heartbeat_ms() == 0) return status;
  absl::MutexLock lock(&mutex_);
  heartbeat_every_ = absl::Milliseconds(reply.heartbeat_ms());
  return status;
}

absl::Status ControllerLink::HeartbeatOnce() {
  HeartbeatRequest request;
  request.set_node_id(me_.node_id());
  request.set_incarnation(me_.incarnation());
  Empty reply;
  return Call(&Controller::Stub::Heartbeat, request, &reply);
}

absl::Status ControllerLink::ReportOnce(const NodeReport& report) {
  Empty reply;
  return Call(&Controller::Stub::Report, report, &reply);
}

template <typename Request, typename Reply>
absl::Status ControllerLink::Call(grpc::Status (Controller::Stub::*method)(grpc::ClientContext*,
                                                                           const Request&, Reply*),
                                  const Request& request, Reply* reply) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoSeconds(kCallTimeout));
  const absl::Status status = ToAbsl(((*stub_).*method)(&context, request, reply));
  if (IsSilence(status)) return status;
  absl::MutexLock lock(&mutex_);
  last_heard_ = absl::Now();
  return status;
}

}  // namespace waferstream
