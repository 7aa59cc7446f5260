// `waferctl list`, `get`, `watch`, `logs`, `cancel` and `resume`.
#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "base/flags.h"
#include "base/status.h"
#include "client/command.h"
#include "client/controller_address.h"
#include "client/controller_client.h"
#include "client/controller_flags.h"
#include "client/job_view.h"
#include "client/output.h"
#include "client/watch_job.h"

namespace waferstream {
namespace {

constexpr uint64_t kLogTailBytes = 64 << 10;

struct JobCommandFlags {
  ControllerFlags controller;
  std::string job;
  std::string node;
  int patience_seconds = kPatience / absl::Seconds(1);
  double lr = 0;
  bool skip_batch = false;
  Format format = Format::kTable;
};

using Body = std::function<Outcome(ControllerClient&, const JobCommandFlags&)>;

Outcome List(ControllerClient& client, const JobCommandFlags& flags) {
  ASSIGN_OR_RETURN(const JobList jobs, client.List());
  RETURN_IF_ERROR(PrintResult(flags.format, JobListTable(jobs), JobListJson(jobs)));
  return ExitCode::kOk;
}

// Succeeds if the job is known, whatever became of it: the state is in the answer.
Outcome Get(ControllerClient& client, const JobCommandFlags& flags) {
  ASSIGN_OR_RETURN(const JobStatus job, client.Get(flags.job));
  RETURN_IF_ERROR(PrintResult(flags.format, JobTable(job), JobJson(job)));
  return ExitCode::kOk;
}

Outcome Watch(ControllerClient& client, const JobCommandFlags& flags) {
  return WatchJob(client, flags.job,
                  {.format = flags.format, .patience = absl::Seconds(flags.patience_seconds)});
}

Outcome Logs(ControllerClient& client, const JobCommandFlags& flags) {
  if (!flags.node.empty()) {
    ASSIGN_OR_RETURN(const std::string text, client.ReadNodeLog(flags.node, kLogTailBytes));
    const Json json = {{"node", flags.node}, {"text", text}};
    RETURN_IF_ERROR(PrintResult(flags.format, text, json));
    return ExitCode::kOk;
  }
  if (flags.job.empty()) return absl::InvalidArgumentError("logs: needs a JOB or --node NODE");
  ASSIGN_OR_RETURN(const EventList events, client.Events(flags.job));
  RETURN_IF_ERROR(PrintResult(flags.format, EventListLines(events), EventListJson(events)));
  return ExitCode::kOk;
}

Outcome Cancel(ControllerClient& client, const JobCommandFlags& flags) {
  ASSIGN_OR_RETURN(const JobStatus job, client.Cancel(flags.job));
  RETURN_IF_ERROR(PrintResult(flags.format, JobTable(job), JobJson(job)));
  return ExitCode::kOk;
}

Outcome Resume(ControllerClient& client, const JobCommandFlags& flags) {
  ResumeRequest request;
  request.set_request_id(NewRequestId());
  request.set_job_id(flags.job);
  request.set_lr(flags.lr);
  request.set_skip_batch(flags.skip_batch);
  ASSIGN_OR_RETURN(const JobStatus job, client.Resume(request));
  RETURN_IF_ERROR(PrintResult(flags.format, JobTable(job), JobJson(job)));
  return ExitCode::kOk;
}

enum class JobArgument { kNone, kOptional, kRequired };

CLI::App* AddOne(CLI::App& app, Outcome& outcome, const char* name, const char* what,
                 JobArgument job, std::shared_ptr<JobCommandFlags> flags, Body body) {
  CLI::App* command = app.add_subcommand(name, what);
  if (job != JobArgument::kNone) {
    AddName(*command, "JOB", flags->job, "Its id")->required(job == JobArgument::kRequired);
  }
  AddControllerFlags(*command, flags->controller);
  AddOutputFlag(*command, flags->format);
  command->callback([flags, body = std::move(body), &outcome] {
    outcome = [&]() -> Outcome {
      ASSIGN_OR_RETURN(const ControllerAccess access, ResolveController(flags->controller));
      ControllerClient client(access.address, access.credentials);
      return body(client, *flags);
    }();
  });
  return command;
}

}  // namespace

void AddJobCommands(CLI::App& app, Outcome& outcome) {
  auto add = [&](const char* name, const char* what, JobArgument job, Body body,
                 std::shared_ptr<JobCommandFlags> flags = std::make_shared<JobCommandFlags>()) {
    return AddOne(app, outcome, name, what, job, std::move(flags), std::move(body));
  };
  add("list", "All jobs, newest first", JobArgument::kNone, List);
  add("get", "Everything about one job", JobArgument::kRequired, Get);
  auto watch = std::make_shared<JobCommandFlags>();
  AddPatienceFlag(*add("watch", "Follow a job to its end; Ctrl-C detaches", JobArgument::kRequired,
                       Watch, watch),
                  watch->patience_seconds);
  add("cancel", "Cancel a job", JobArgument::kRequired, Cancel);
  auto resume = std::make_shared<JobCommandFlags>();
  CLI::App* resume_command =
      add("resume", "Go on with a paused job", JobArgument::kRequired, Resume, resume);
  AddReal(*resume_command, "--lr", resume->lr, "Peak learning rate from here on [as it was]",
          {.open_low = true})
      ->configurable(false);
  AddSwitch(*resume_command, "--skip-batch", resume->skip_batch,
            "Leave out the batch at which it paused")
      ->configurable(false);
  auto flags = std::make_shared<JobCommandFlags>();
  AddName(*add("logs", "What happened to a job, or the end of a node's log", JobArgument::kOptional,
               Logs, flags),
          "--node", flags->node, "The end of this node's log")
      ->configurable(false);
}

}  // namespace waferstream
