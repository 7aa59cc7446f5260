#include "client/mpi_job.h"

#include <signal.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "client/binaries.h"
#include "client/child_process.h"
#include "client/cluster_folder.h"
#include "client/controller_client.h"
#include "client/follow_job.h"
#include "client/interrupt.h"
#include "client/secret_file.h"
#include "plan/plan.h"
#include "proto/job_state.h"

namespace waferstream {
namespace {

// All ranks begin within seconds; a launch of thousands, within a minute or two.
constexpr absl::Duration kStartLimit = absl::Minutes(5);
constexpr absl::Duration kPoll = absl::Milliseconds(20);
// Every rank promises to end within 5 s of being told.
constexpr absl::Duration kStopGrace = absl::Seconds(10);
// A rank that hangs for so long will not come back, and nobody can take its place.
constexpr absl::Duration kRankPatience = absl::Seconds(30);
constexpr absl::Duration kLookEvery = absl::Seconds(1);
// Within the second that mpirun leaves for a last word (EndWarning).
constexpr absl::Duration kLookWithin = absl::Milliseconds(300);
// The one job of a run folder, however often its launch is submitted.
constexpr const char* kRequestId = "mpi-run";

// The process that is rank 0 to MPI: controller and launcher of the others.
class Head {
 public:
  static absl::StatusOr<Head> Start(const JobSpec& job, const LocalJobOptions& options,
                                    bool insecure) {
    ASSIGN_OR_RETURN(const std::string binary, FindMpiBinary());
    RETURN_IF_ERROR(MakeClusterFolders(options.dir));
    ASSIGN_OR_RETURN(Credentials credentials, MakeSecretIn(options.dir));
    const std::string port_file = options.dir + "/state/controller.port";
    std::error_code ignored;
    std::filesystem::remove(port_file, ignored);  // of an earlier launch
    const ClusterShape shape = RequestedShape(job);
    ProcessSpec spec{.name = "controller",
                     .argv = {binary, "head", "--memoryx", absl::StrCat(shape.memoryx), "--swarmx",
                              absl::StrCat(shape.swarmx), "--wafers", absl::StrCat(shape.wafers),
                              "--state", options.dir + "/state", "--secret-file",
                              SecretFileIn(options.dir), "--port-file", port_file, "--logs",
                              options.dir + "/logs", "--log", options.dir + "/logs/controller.log"},
                     .log = options.dir + "/logs/mpi.log"};
    if (insecure) spec.argv.push_back("--insecure");
    if (!options.kernel_isa.empty()) {
      spec.argv.insert(spec.argv.end(), {"--kernel-isa", options.kernel_isa});
    }
    ASSIGN_OR_RETURN(ChildProcess process, ChildProcess::Start(spec));
    return Head(std::move(process), std::move(credentials), port_file);
  }

  absl::Status AwaitAddress(const InterruptCounter& interrupts) {
    const absl::Time deadline = absl::Now() + kStartLimit;
    while ((address_ = ReadPortFile(port_file_)).empty()) {
      RETURN_IF_ERROR(Check());
      if (interrupts.count() > 0) return absl::AbortedError("interrupted while the ranks started");
      if (absl::Now() > deadline) {
        return absl::DeadlineExceededError(
            absl::StrCat("not all ranks have begun within ", absl::FormatDuration(kStartLimit)));
      }
      absl::SleepFor(kPoll);
    }
    return absl::OkStatus();
  }

  absl::Status Check() {
    return process_.Running() ? absl::OkStatus() : absl::AbortedError(Obituary(process_));
  }
  const std::string& address() const { return address_; }
  const Credentials& credentials() const { return credentials_; }

  // All ranks end in order.
  void Stop() {
    std::vector<ChildProcess> all;
    all.push_back(std::move(process_));
    StopAll(all, kStopGrace);
  }

 private:
  Head(ChildProcess process, Credentials credentials, std::string port_file)
      : process_(std::move(process)),
        credentials_(std::move(credentials)),
        port_file_(std::move(port_file)) {}

  ChildProcess process_;
  Credentials credentials_;
  std::string port_file_;
  std::string address_;
};

// Notices a rank that is there, and does not answer.
class RankWatch {
 public:
  explicit RankWatch(ControllerClient& client) : client_(client) {}

  absl::Status Look() {
    const absl::Time now = absl::Now();
    if (now < next_) return absl::OkStatus();
    next_ = now + kLookEvery;
    const absl::StatusOr<NodeList> nodes = client_.ListNodes(kLookWithin);
    if (!nodes.ok()) return absl::OkStatus();  // the controller has a watch of its own
    std::map<std::string, absl::Time> lost;
    for (const NodeStatus& node : nodes->nodes()) {
      if (node.state() != LOST) continue;
      const auto since = lost_.emplace(node.node_id(), now).first;
      lost.insert(*since);
      if (now - since->second > kRankPatience) {
        return absl::AbortedError(absl::StrCat(node.node_id(), " (", node.address(),
                                               ") has not answered for ",
                                               absl::FormatDuration(kRankPatience)));
      }
    }
    lost_ = std::move(lost);
    return absl::OkStatus();
  }

 private:
  ControllerClient& client_;
  std::map<std::string, absl::Time> lost_;  // since when
  absl::Time next_ = absl::InfinitePast();
};

// mpirun ends a launch with SIGCONT, a second, SIGTERM, and SIGKILL some milliseconds later: only
// the first leaves time for a word. While one of these exists, it is noticed; at most one at a
// time.
class EndWarning {
 public:
  EndWarning() {
    came_ = false;
    struct sigaction action = {};
    action.sa_handler = [](int) { came_ = true; };
    action.sa_flags = SA_RESTART;
    sigaction(SIGCONT, &action, &before_);
  }
  ~EndWarning() { sigaction(SIGCONT, &before_, nullptr); }
  EndWarning(const EndWarning&) = delete;
  EndWarning& operator=(const EndWarning&) = delete;

  // Since the last call.
  bool Came() { return came_.exchange(false); }

 private:
  static inline std::atomic<bool> came_;
  struct sigaction before_;
};

std::string HowToGoOn(const JobStatus& status) {
  const std::string& checkpoint = status.checkpoint();
  return absl::StrCat("stopped after ", status.step(), " of ", status.steps(), " steps; ",
                      checkpoint.empty()
                          ? "there is no checkpoint yet: the same command begins again"
                          : absl::StrCat("the same command goes on from ", checkpoint));
}

void SayWhereItGoesOn(const JobStatus& job, Progress& progress) {
  if (IsFinal(job.state())) {
    return progress.Note(
        absl::StrCat(job.job_id(), " has ended already; another --run-dir begins anew"));
  }
  progress.Note(absl::StrCat(
      job.job_id(), " goes on from ",
      job.checkpoint().empty() ? "where it began: there is no checkpoint" : job.checkpoint()));
}

absl::StatusOr<JobStatus> RunOn(Head& head, bool goes_on, const JobSpec& job,
                                const LocalJobOptions& options, Progress& progress) {
  const InterruptCounter interrupts;
  RETURN_IF_ERROR(head.AwaitAddress(interrupts));
  ControllerClient client(head.address(), head.credentials());
  RankWatch watch(client);
  SubmitRequest request;
  request.set_request_id(kRequestId);
  *request.mutable_job() = job;
  FollowOptions follow;
  follow.stop_when_paused = true;
  JobStatus last;
  follow.on_status = [&](const JobStatus& status) { options.on_status(last = status); };
  EndWarning warning;
  follow.check = [&]() -> absl::Status {
    if (warning.Came()) progress.Note(HowToGoOn(last));
    RETURN_IF_ERROR(head.Check());
    return watch.Look();
  };
  const absl::StatusOr<JobStatus> submitted =
      SubmitJob(client, request, interrupts, progress, follow);
  if (goes_on && absl::IsInvalidArgument(submitted.status())) {
    return absl::InvalidArgumentError(
        absl::StrCat("--run-dir: ", options.dir, ": ", submitted.status().message()));
  }
  RETURN_IF_ERROR(submitted.status());
  if (goes_on) SayWhereItGoesOn(*submitted, progress);
  ASSIGN_OR_RETURN(last, FollowJob(client, submitted->job_id(), interrupts, progress, follow));
  if (IsFinal(last.state()) || last.state() == PAUSED) return last;
  return absl::AbortedError(HowToGoOn(last));
}

}  // namespace

bool HasRunBefore(const std::string& dir) {
  std::error_code ignored;
  return std::filesystem::exists(dir + "/state/controller.sqlite", ignored);
}

absl::StatusOr<JobStatus> RunMpiJob(const JobSpec& job, const LocalJobOptions& options,
                                    bool insecure, Progress& progress) {
  const bool goes_on = HasRunBefore(options.dir);
  ASSIGN_OR_RETURN(Head head, Head::Start(job, options, insecure));
  absl::StatusOr<JobStatus> status = RunOn(head, goes_on, job, options, progress);
  progress.Clear();
  if (status.ok()) head.Stop();
  return status;  // else what is left of the launch ends with this process
}

}  // namespace waferstream
