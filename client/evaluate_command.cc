// `waferctl evaluate`: the loss of a checkpoint over a file of tokens.
#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/flags.h"
#include "base/status.h"
#include "base/user_input.h"
#include "client/command.h"
#include "client/controller_flags.h"
#include "client/evaluation.h"
#include "client/job_input.h"
#include "client/output.h"
#include "client/run_forward_job.h"

namespace waferstream {
namespace {

struct EvaluateFlags {
  EvaluationRequest request;
  std::string precision = "f32";
  ControllerFlags controller;
  Format format = Format::kTable;
};

// The job's fields are this command's flags.
absl::Status InFlags(const absl::Status& status) {
  if (status.ok()) return status;
  absl::string_view message = status.message();
  for (const auto& [field, flag] :
       {std::pair{"data.validation: ", "--data: "}, std::pair{"model.context: ", "--context: "},
        std::pair{"training.micro_batch: ", "--micro-batch: "}}) {
    if (!absl::ConsumePrefix(&message, field)) continue;
    return absl::Status(status.code(), absl::StrCat(flag, message));
  }
  return status;
}

Outcome Evaluate(EvaluateFlags flags) {
  EvaluationRequest& request = flags.request;
  ASSIGN_OR_RETURN(NamedCheckpoint from, ResolveCheckpoint("--checkpoint", request.checkpoint));
  request.checkpoint = std::move(from.path);
  ASSIGN_OR_RETURN(request.data, AbsolutePath("--data", request.data));
  request.precision = flags.precision == "bf16" ? BF16 : F32;
  absl::StatusOr<JobSpec> job = EvaluationJob(request);
  if (!job.ok()) return absl::InvalidArgumentError(job.status().message());
  std::vector<std::string> ignored;
  RETURN_IF_ERROR(InFlags(CheckJob(*job, OutputFolder::kToCheck, ignored)));
  Progress progress(stderr, Progress::StyleOfStderr(/*quiet=*/flags.format != Format::kTable));
  for (const std::string& note : from.notes) progress.Note(note);
  ASSIGN_OR_RETURN(const JobStatus status,
                   RunForwardJob(
                       *job, flags.controller, [](const JobStatus&) {}, progress));
  RETURN_IF_ERROR(PrintResult(flags.format, EvaluationTable(status), EvaluationJson(status)));
  if (status.state() == FAILED) return absl::AbortedError(status.reason());
  return ExitCodeOf(status.state());
}

}  // namespace

void AddEvaluateCommand(CLI::App& app, Outcome& outcome) {
  auto flags = std::make_shared<EvaluateFlags>();
  EvaluationRequest& request = flags->request;
  CLI::App* command =
      app.add_subcommand("evaluate", "Measure the loss of a checkpoint over a file of tokens");
  AddPath(*command, "--checkpoint", request.checkpoint,
          "Checkpoint, or a folder with checkpoints or of a run (then the newest)")
      ->required()
      ->configurable(false);
  AddPath(*command, "--data", request.data, "Tokens, as a job file's data.train names them")
      ->required()
      ->configurable(false);
  AddWhole(*command, "--context", request.context, "Tokens of a sequence [the model's]", {.low = 1})
      ->configurable(false);
  AddWhole(*command, "--micro-batch", request.micro_batch,
           "Sequences that are computed together [1]", {.low = 1, .high = 1 << 20})
      ->configurable(false);
  AddWord(*command, "--precision", flags->precision, "f32|bf16", "What products take [f32]")
      ->configurable(false);
  AddAddress(*command, "--controller", flags->controller.address,
             "Evaluate on this cluster, instead of a local one made for it");
  AddSecretFlag(*command, flags->controller);
  AddOutputFlag(*command, flags->format);
  command->callback([flags, &outcome] { outcome = Evaluate(*flags); });
}

}  // namespace waferstream
