#include "client/follow_job.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "client/status_stream.h"
#include "proto/job_state.h"

namespace waferstream {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(100);
// A cancelled job ends when every node has released it; a node that hangs takes a lease to be lost.
constexpr absl::Duration kCancelLimit = absl::Seconds(15);

// The user's Ctrl-C on a job that is to be cancelled.
class Canceller {
 public:
  Canceller(ControllerClient& client, const std::string& job_id, Progress& progress)
      : client_(client), job_id_(job_id), progress_(progress) {}

  absl::Status OnTick(int interrupts) {
    if (interrupts == 0) return absl::OkStatus();
    if (!asked_at_) {
      progress_.Note("cancelling; Ctrl-C again does not wait");
      RETURN_IF_ERROR(client_.Cancel(job_id_).status());
      asked_at_ = absl::Now();
    }
    if (interrupts > 1) return absl::CancelledError(absl::StrCat(job_id_, ": interrupted"));
    if (absl::Now() - *asked_at_ > kCancelLimit) {
      return absl::CancelledError(absl::StrCat(job_id_, ": cancelled, but it did not end in time"));
    }
    return absl::OkStatus();
  }

 private:
  ControllerClient& client_;
  const std::string& job_id_;
  Progress& progress_;
  std::optional<absl::Time> asked_at_;
};

// One line about every time that the controller goes away.
class AwayNote {
 public:
  AwayNote(Progress& progress, absl::Duration patience)
      : progress_(progress), patience_(patience) {}

  void OnTick(const absl::Status& away) {
    if (!away.ok() && !away_) {
      progress_.Note(absl::StrCat(away.message(), "; waiting up to ",
                                  absl::FormatDuration(patience_), " for it"));
    }
    away_ = !away.ok();
  }

 private:
  Progress& progress_;
  const absl::Duration patience_;
  bool away_ = false;
};

}  // namespace

absl::StatusOr<JobStatus> SubmitJob(ControllerClient& client, const SubmitRequest& request,
                                    const InterruptCounter& interrupts, Progress& progress,
                                    const FollowOptions& options) {
  const absl::Time deadline = absl::Now() + options.patience;
  AwayNote away(progress, options.patience);
  for (;;) {
    absl::StatusOr<JobStatus> job = client.Submit(request);
    if (job.ok() || !MayComeBack(job.status()) || absl::Now() > deadline) return job;
    away.OnTick(job.status());
    RETURN_IF_ERROR(options.check());
    if (interrupts.count() > 0) return absl::CancelledError("interrupted before the job was taken");
    client.AwaitConnection(kTick);
    absl::SleepFor(kTick);  // it may be there, and yet not answer
  }
}

absl::StatusOr<JobStatus> FollowJob(ControllerClient& client, const std::string& job_id,
                                    const InterruptCounter& interrupts, Progress& progress,
                                    const FollowOptions& options) {
  StatusStream stream(client, job_id, options.patience);
  Canceller canceller(client, job_id, progress);
  AwayNote away(progress, options.patience);
  std::optional<JobStatus> last;
  for (;;) {
    ASSIGN_OR_RETURN(std::optional<JobStatus> status, stream.Next(kTick));
    if (status) {
      last = std::move(status);
      options.on_status(*last);
      if (IsFinal(last->state())) return *last;
      if (last->state() == PAUSED && options.stop_when_paused) {
        // Unlike the last status of a job that has ended, that of a pause comes without losses.
        ASSIGN_OR_RETURN(JobStatus paused, client.Get(job_id));
        if (paused.state() == PAUSED) return paused;
      }
    }
    away.OnTick(stream.Away());
    if (last) progress.Update(*last, absl::Now());
    if (options.on_interrupt == OnInterrupt::kCancelJob) {
      RETURN_IF_ERROR(canceller.OnTick(interrupts.count()));
    } else if (interrupts.count() > 0) {
      return last.value_or(JobStatus());
    }
    RETURN_IF_ERROR(options.check());
  }
}

}  // namespace waferstream
