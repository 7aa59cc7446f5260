#include "client/status_stream.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/job_state.h"

namespace waferstream {
namespace {

constexpr absl::Duration kConnectAttempt = absl::Milliseconds(200);
// A controller that answers, but with an error, is not asked more often than this.
constexpr absl::Duration kBetweenAttempts = absl::Milliseconds(50);

}  // namespace

StatusStream::StatusStream(ControllerClient& client, std::string job_id, absl::Duration patience)
    : client_(client),
      job_id_(std::move(job_id)),
      patience_(patience),
      thread_([this] { Run(); }) {}

StatusStream::~StatusStream() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
    if (call_) call_->Cancel();
  }
  thread_.join();
}

absl::StatusOr<std::optional<JobStatus>> StatusStream::Next(absl::Duration wait) {
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(this, &StatusStream::HasNews), wait);
  if (latest_) return std::exchange(latest_, std::nullopt);
  if (!error_.ok()) return error_;
  return std::optional<JobStatus>();
}

void StatusStream::Run() {
  absl::Time silent_since = absl::Now();
  for (;;) {
    bool heard = false;
    absl::Status status = WatchOnce(&heard);
    if (heard) silent_since = absl::Now();
    if (!TryAgain(std::move(status), heard, silent_since)) return;
    client_.AwaitConnection(kConnectAttempt);
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&stop_), kBetweenAttempts);
  }
}

bool StatusStream::TryAgain(absl::Status status, bool heard, absl::Time silent_since) {
  absl::MutexLock lock(&mutex_);
  if (stop_ || final_) return false;
  // A stream that ends well before a final state is a controller that shuts down.
  if (status.ok()) {
    status = absl::UnavailableError(
        absl::StrCat("controller ", client_.address(), ": ended the stream"));
  }
  if (!MayComeBack(status) || absl::Now() - silent_since > patience_) {
    error_ = std::move(status);
    return false;
  }
  // A call that brought something and then reached its deadline is merely due for renewal.
  if (!heard || absl::IsUnavailable(status)) away_ = std::move(status);
  return true;
}

absl::Status StatusStream::WatchOnce(bool* heard) {
  const std::unique_ptr<ControllerClient::WatchCall> call = client_.Watch(job_id_);
  {
    absl::MutexLock lock(&mutex_);
    if (stop_) call->Cancel();
    call_ = call.get();
  }
  JobStatus status;
  while (call->Read(&status)) {
    *heard = true;
    Publish(std::exchange(status, JobStatus()));
  }
  {
    absl::MutexLock lock(&mutex_);
    call_ = nullptr;
  }
  return call->Finish();
}

absl::Status StatusStream::Away() const {
  absl::MutexLock lock(&mutex_);
  return away_;
}

void StatusStream::Publish(JobStatus status) {
  absl::MutexLock lock(&mutex_);
  away_ = absl::OkStatus();
  final_ = IsFinal(status.state());
  latest_ = std::move(status);
}

}  // namespace waferstream
