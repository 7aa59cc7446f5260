// `waferctl generate`: a checkpoint goes on with a prompt.
#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/flags.h"
#include "base/status.h"
#include "client/command.h"
#include "client/controller_flags.h"
#include "client/generation.h"
#include "client/job_input.h"
#include "client/output.h"
#include "client/run_forward_job.h"
#include "plan/job_keys.h"

namespace waferstream {
namespace {

struct GenerateFlags {
  GenerationRequest request;
  ControllerFlags controller;
  Format format = Format::kTable;
};

// Prints tokens as they come; a status carries all of them so far.
class TokenPrinter {
 public:
  explicit TokenPrinter(const ModelSpec& model) : model_(model) {}

  void Print(const JobStatus& status) {
    const auto& all = status.generated();
    // A controller that restarted may begin the job again; what comes again is what was printed.
    if (all.size() <= printed_) return;
    const std::vector<uint32_t> fresh(all.begin() + printed_, all.end());
    if (result_.ok()) result_ = PrintResult(RenderTokens(model_, fresh, printed_ == 0));
    printed_ = all.size();
  }
  absl::Status Finish() {
    if (result_.ok() && printed_ > 0) result_ = PrintResult("\n");
    return result_;
  }

 private:
  const ModelSpec model_;
  int printed_ = 0;
  absl::Status result_;  // of the first write that failed
};

Json GenerationJson(const JobStatus& status) {
  const auto& generated = status.generated();
  Json json = {{"job", status.job_id()},
               {"state", JobState_Name(status.state())},
               {"reason", status.reason()},
               {"prompt_tokens", status.job().generate().prompt()},
               {"tokens", generated}};
  if (status.job().generate().logits()) json["logits"] = status.logits();
  const ModelSpec& model = status.job().model();
  if (model.vocab() == kByteVocabulary) {
    json["text"] = RenderTokens(model, {generated.begin(), generated.end()}, true);
  }
  return json;
}

Outcome Generate(GenerateFlags flags) {
  ASSIGN_OR_RETURN(NamedCheckpoint from,
                   ResolveCheckpoint("--checkpoint", flags.request.checkpoint));
  flags.request.checkpoint = std::move(from.path);
  if (flags.request.logits && flags.format == Format::kTable) {
    return absl::InvalidArgumentError(
        "--logits: are numbers for programs; give -o json or -o yaml");
  }
  absl::StatusOr<JobSpec> job = GenerationJob(flags.request);
  if (!job.ok()) return absl::InvalidArgumentError(job.status().message());
  std::vector<std::string> ignored;
  RETURN_IF_ERROR(CheckJob(*job, OutputFolder::kToCheck, ignored));
  // Quiet: the text itself is the progress.
  Progress progress(stderr, Progress::Style::kQuiet);
  for (const std::string& note : from.notes) progress.Note(note);
  TokenPrinter printer(job->model());
  std::function<void(const JobStatus&)> on_status = [](const JobStatus&) {};
  if (flags.format == Format::kTable) on_status = [&](const JobStatus& s) { printer.Print(s); };
  ASSIGN_OR_RETURN(const JobStatus status,
                   RunForwardJob(*job, flags.controller, std::move(on_status), progress));
  RETURN_IF_ERROR(flags.format == Format::kTable
                      ? printer.Finish()
                      : PrintResult(RenderStructured(GenerationJson(status), flags.format)));
  if (status.state() == FAILED) return absl::AbortedError(status.reason());
  return ExitCodeOf(status.state());
}

}  // namespace

void AddGenerateCommand(CLI::App& app, Outcome& outcome) {
  auto flags = std::make_shared<GenerateFlags>();
  GenerationRequest& request = flags->request;
  CLI::App* command = app.add_subcommand("generate", "Let a checkpoint go on with a prompt");
  AddPath(*command, "--checkpoint", request.checkpoint,
          "Checkpoint, or a folder with checkpoints or of a run (then the newest)")
      ->required()
      ->configurable(false);
  CLI::Option* text = command->add_option("--prompt", request.prompt, "Text; tokens are its bytes");
  text->configurable(false);
  AddWholeList(*command, "--prompt-tokens", request.prompt_tokens,
               "Tokens, with commas between them")
      ->excludes(text)
      ->configurable(false);
  CLI::Option* tokens = AddWhole(*command, "--tokens", request.tokens, "How many to generate [200]",
                                 kGeneratedTokens);
  AddReal(*command, "--temperature", request.temperature, "0: always the likeliest token [0.8]",
          kTemperature);
  AddWhole(*command, "--top-k", request.top_k, "Choose among the k likeliest; 0: all [40]");
  AddWhole(*command, "--seed", request.seed, "The same seed gives the same text [1]");
  AddSwitch(*command, "--logits", request.logits,
            "Give the logits of the prompt's last position, and one token")
      ->excludes(tokens)
      ->configurable(false);
  AddAddress(*command, "--controller", flags->controller.address,
             "Generate on this cluster, instead of a local one made for it");
  AddSecretFlag(*command, flags->controller);
  AddOutputFlag(*command, flags->format);
  command->callback([flags, &outcome] { outcome = Generate(*flags); });
}

}  // namespace waferstream
