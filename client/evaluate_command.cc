// `waferctl evaluate`: the loss of a checkpoint over a file of tokens, or its choice among answers.
#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/flags.h"
#include "base/status.h"
#include "base/user_input.h"
#include "checkpoint/posix_disk.h"
#include "client/choices.h"
#include "client/command.h"
#include "client/controller_flags.h"
#include "client/evaluation.h"
#include "client/job_input.h"
#include "client/model_tokenizer.h"
#include "client/output.h"
#include "client/run_forward_job.h"
#include "client/scratch_folder.h"

namespace waferstream {
namespace {

struct EvaluateFlags {
  EvaluationRequest request;
  std::string precision = "f32";
  std::string choices;
  std::string tokenizer;
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

// A job that was run to its end, or the reason why not.
absl::StatusOr<JobStatus> Run(const JobSpec& job, const EvaluateFlags& flags,
                              const std::vector<std::string>& notes) {
  Progress progress(stderr, Progress::StyleOfStderr(/*quiet=*/flags.format != Format::kTable));
  for (const std::string& note : notes) progress.Note(note);
  return RunForwardJob(
      job, flags.controller, [](const JobStatus&) {}, progress);
}

absl::Status CheckEvaluation(JobSpec& job) {
  std::vector<std::string> ignored;
  return InFlags(CheckJob(job, OutputFolder::kToCheck, ignored));
}

Outcome Measure(const EvaluateFlags& flags, const std::vector<std::string>& notes) {
  absl::StatusOr<JobSpec> job = EvaluationJob(flags.request);
  if (!job.ok()) return absl::InvalidArgumentError(job.status().message());
  RETURN_IF_ERROR(CheckEvaluation(*job));
  ASSIGN_OR_RETURN(const uint64_t tokens, TokensMeasured(PosixDisk(), *job));
  ASSIGN_OR_RETURN(const JobStatus status, Run(*job, flags, notes));
  RETURN_IF_ERROR(
      PrintResult(flags.format, EvaluationTable(status, tokens), EvaluationJson(status, tokens)));
  if (status.state() == FAILED) return absl::AbortedError(status.reason());
  return ExitCodeOf(status.state());
}

Outcome Choose(EvaluateFlags flags, const std::vector<std::string>& notes) {
  ASSIGN_OR_RETURN(const std::string path, AbsolutePath("--choices", flags.choices));
  ASSIGN_OR_RETURN(const std::vector<Question> questions, ReadQuestions(PosixDisk(), path));
  // Before there is a second thread.
  ASSIGN_OR_RETURN(const ScratchFolder scratch, ScratchFolder::Make("evaluate"));
  flags.request.data = scratch.path() + "/choices.bin";
  absl::StatusOr<JobSpec> job = SequencesJob(flags.request);
  if (!job.ok()) return absl::InvalidArgumentError(job.status().message());
  ASSIGN_OR_RETURN(const std::optional<TokenizerFiles> files,
                   TokenizerFor(flags.tokenizer, flags.request.checkpoint, job->model()));
  if (!files.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.request.checkpoint, ": has no tokenizer; name one with --tokenizer"));
  }
  RETURN_IF_ERROR(WriteQuestions(PosixDisk(), questions, *files, job->model().context(),
                                 flags.choices, flags.request.data));
  RETURN_IF_ERROR(CheckEvaluation(*job));
  ASSIGN_OR_RETURN(const JobStatus status, Run(*job, flags, notes));
  if (status.state() == FAILED) return absl::AbortedError(status.reason());
  if (status.state() != DONE) return ExitCodeOf(status.state());
  const auto& nats = status.sequence_losses();
  ASSIGN_OR_RETURN(const ChoiceScores scores,
                   ScoreQuestions(questions, {nats.begin(), nats.end()}));
  RETURN_IF_ERROR(PrintResult(flags.format, ChoicesTable(scores), ChoicesJson(scores)));
  return ExitCode::kOk;
}

Outcome Evaluate(EvaluateFlags flags) {
  EvaluationRequest& request = flags.request;
  if (request.data.empty() == flags.choices.empty()) {
    return absl::InvalidArgumentError("give one of --data and --choices");
  }
  ASSIGN_OR_RETURN(NamedCheckpoint from, ResolveCheckpoint("--checkpoint", request.checkpoint));
  request.checkpoint = std::move(from.path);
  request.precision = flags.precision == "bf16" ? BF16 : F32;
  if (!flags.choices.empty()) return Choose(std::move(flags), from.notes);
  ASSIGN_OR_RETURN(request.data, AbsolutePath("--data", request.data));
  return Measure(flags, from.notes);
}

}  // namespace

void AddEvaluateCommand(CLI::App& app, Outcome& outcome) {
  auto flags = std::make_shared<EvaluateFlags>();
  EvaluationRequest& request = flags->request;
  CLI::App* command = app.add_subcommand(
      "evaluate",
      "Measure the loss of a checkpoint over a file of tokens, or how it answers questions");
  AddPath(*command, "--checkpoint", request.checkpoint,
          "Checkpoint, or a folder with checkpoints or of a run (then the newest)")
      ->required()
      ->configurable(false);
  AddPath(*command, "--data", request.data, "Tokens, as a job file's data.train names them")
      ->configurable(false);
  AddPath(*command, "--choices", flags->choices,
          "Instead: JSON-lines of questions, {context, choices, answer}; which choice is likeliest")
      ->configurable(false);
  AddPath(*command, "--tokenizer", flags->tokenizer,
          "Of --choices: tokenizer.json, tokenizer.model, a folder, or bytes [the checkpoint's]")
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
