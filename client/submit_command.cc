// `waferctl submit`.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/flags.h"
#include "base/status.h"
#include "client/command.h"
#include "client/controller_address.h"
#include "client/controller_client.h"
#include "client/controller_flags.h"
#include "client/job_input.h"
#include "client/output.h"
#include "client/watch_job.h"

namespace waferstream {
namespace {

struct SubmitFlags {
  JobFlags job;
  ControllerFlags controller;
  std::string request_id;
  bool wait = false;
  int patience_seconds = kPatience / absl::Seconds(1);
  Format format = Format::kTable;
};

Outcome Submit(const SubmitFlags& flags) {
  ASSIGN_OR_RETURN(const ControllerAccess access, ResolveController(flags.controller));
  SubmitRequest request;
  ASSIGN_OR_RETURN(*request.mutable_job(), LoadJob(flags.job));
  std::vector<std::string> notes;
  // Under an id that was given the job may be at work in that folder; the controller looks as well.
  const bool again = !flags.request_id.empty();
  RETURN_IF_ERROR(CheckJob(*request.mutable_job(),
                           again ? OutputFolder::kOurs : OutputFolder::kToCheck, notes));
  for (const std::string& note : notes) std::fprintf(stderr, "%s\n", note.c_str());
  request.set_request_id(flags.request_id.empty() ? NewRequestId() : flags.request_id);
  ControllerClient client(access.address, access.credentials);
  if (flags.wait) {
    return SubmitAndWatch(client, request,
                          {.format = flags.format,
                           .patience = absl::Seconds(flags.patience_seconds),
                           .detached = ExitCode::kCancelled,
                           .stop_when_paused = true});
  }
  ASSIGN_OR_RETURN(const JobStatus job, client.Submit(request));
  RETURN_IF_ERROR(PrintResult(flags.format, job.job_id() + "\n",
                              Json{{"job", job.job_id()}, {"state", JobState_Name(job.state())}}));
  return ExitCode::kOk;
}

}  // namespace

void AddSubmitCommand(CLI::App& app, Outcome& outcome) {
  auto flags = std::make_shared<SubmitFlags>();
  CLI::App* command = app.add_subcommand("submit", "Queue a job on a cluster that is up");
  AddJobFlags(*command, flags->job);
  AddAcceptFlag(*command, flags->job);
  AddSwitch(*command, "--wait", flags->wait, "Watch it to its end and print its result");
  AddName(*command, "--request-id", flags->request_id,
          "The same id again answers with the same job [random]")
      ->configurable(false);
  AddPatienceFlag(*command, flags->patience_seconds);
  AddControllerFlags(*command, flags->controller);
  AddOutputFlag(*command, flags->format);
  command->callback([flags, &outcome] { outcome = Submit(*flags); });
}

}  // namespace waferstream
