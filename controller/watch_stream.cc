#include "controller/watch_stream.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/job_state.h"
#include "rpc/status.h"

namespace waferstream {

WatchStream::WatchStream(ControllerHost& host, std::string job_id)
    : host_(host), job_id_(std::move(job_id)) {
  host_.Post([this] { Begin(); });
}

void WatchStream::Begin() {
  const absl::StatusOr<std::string> job_id = host_.board().Resolve(job_id_);
  if (!job_id.ok()) return End(job_id.status());
  job_id_ = *job_id;
  if (!host_.board().Watch(job_id_, this)) {
    return End(absl::ResourceExhaustedError(
        absl::StrCat("there are already ", StatusBoard::kWatchersMax, " watchers")));
  }
  OnStatus();
}

void WatchStream::OnStatus() {
  changed_ = true;
  Advance();
}

void WatchStream::OnWriteDone(bool ok) {
  host_.Post([this, ok] {
    busy_ = false;
    if (!ok) gone_ = true;
    Advance();
  });
}

void WatchStream::OnCancel() {
  host_.Post([this] {
    gone_ = true;
    Advance();
  });
}

void WatchStream::OnDone() {
  host_.Post([this] { delete this; });
}

void WatchStream::Advance() {
  if (busy_) return;
  if (gone_) return End(absl::CancelledError("the watcher has left"));
  if (last_sent_) return End(absl::OkStatus());
  if (!changed_) return;
  busy_ = true;
  changed_ = false;
  message_ = *host_.board().Find(job_id_);
  if (IsFinal(message_.state())) return SendLast();
  StartWrite(&message_);
}

void WatchStream::SendLast() {
  host_.Get(job_id_, [this](absl::StatusOr<JobStatus> status) {
    if (!status.ok()) return End(status.status());
    message_ = *std::move(status);
    last_sent_ = true;
    StartWrite(&message_);
  });
}

void WatchStream::End(const absl::Status& status) {
  busy_ = true;
  host_.board().Unwatch(job_id_, this);
  Finish(ToGrpc(status));
}

}  // namespace waferstream
