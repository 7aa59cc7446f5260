// `waferctl generate`: a checkpoint goes on with a prompt.
#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
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
  TokenPrinter(const GenerateSpec& spec, const TokenizerFiles* tokenizer)
      : renderer_(spec, tokenizer) {}

  void Print(const JobStatus& status) {
    const auto& all = status.generated();
    // A controller that restarted may begin the job again; what comes again is what was printed.
    if (all.size() <= printed_) return;
    Print(renderer_.Add({all.begin() + printed_, all.end()}));
    printed_ = all.size();
  }
  absl::Status Finish() {
    Print(renderer_.Finish());
    if (result_.ok() && printed_ > 0) result_ = PrintResult("\n");
    return result_;
  }

 private:
  void Print(const absl::StatusOr<std::string>& text) {
    if (result_.ok()) result_ = text.ok() ? PrintResult(*text) : text.status();
  }

  TokenRenderer renderer_;
  int printed_ = 0;
  absl::Status result_;  // the first error
};

absl::StatusOr<Json> GenerationJson(const JobStatus& status, const TokenizerFiles* tokenizer) {
  const auto& generated = status.generated();
  const GenerateSpec& spec = status.job().generate();
  Json json = {{"job", status.job_id()},
               {"state", JobState_Name(status.state())},
               {"reason", status.reason()},
               {"prompt_tokens", spec.prompt()},
               {"tokens", generated}};
  if (spec.logits()) json["logits"] = status.logits();
  if (tokenizer == nullptr) return json;
  TokenRenderer renderer(spec, tokenizer);
  ASSIGN_OR_RETURN(std::string text, renderer.Add({generated.begin(), generated.end()}));
  ASSIGN_OR_RETURN(const std::string rest, renderer.Finish());
  json["text"] = text + rest;
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
  const absl::StatusOr<std::optional<TokenizerFiles>> files = TokenizerOf(flags.request);
  if (!files.ok()) return absl::InvalidArgumentError(files.status().message());
  const TokenizerFiles* tokenizer = *files ? &**files : nullptr;
  absl::StatusOr<JobSpec> job = GenerationJob(flags.request, tokenizer);
  if (!job.ok()) return absl::InvalidArgumentError(job.status().message());
  std::vector<std::string> ignored;
  RETURN_IF_ERROR(CheckJob(*job, OutputFolder::kToCheck, ignored));
  // Quiet: the text itself is the progress.
  Progress progress(stderr, Progress::Style::kQuiet);
  for (const std::string& note : from.notes) progress.Note(note);
  TokenPrinter printer(job->generate(), tokenizer);
  std::function<void(const JobStatus&)> on_status = [](const JobStatus&) {};
  if (flags.format == Format::kTable) on_status = [&](const JobStatus& s) { printer.Print(s); };
  ASSIGN_OR_RETURN(const JobStatus status,
                   RunForwardJob(*job, flags.controller, std::move(on_status), progress));
  if (flags.format == Format::kTable) {
    RETURN_IF_ERROR(printer.Finish());
  } else {
    ASSIGN_OR_RETURN(const Json json, GenerationJson(status, tokenizer));
    RETURN_IF_ERROR(PrintResult(RenderStructured(json, flags.format)));
  }
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
  CLI::Option* text =
      command->add_option("--prompt", request.prompt,
                          "Text, by the checkpoint's tokenizer; without one, of a model of bytes");
  text->configurable(false);
  AddWholeList(*command, "--prompt-tokens", request.prompt_tokens,
               "Tokens, with commas between them")
      ->excludes(text)
      ->configurable(false);
  AddPath(*command, "--tokenizer", request.tokenizer,
          "tokenizer.json, tokenizer.model, a folder with one, or bytes [the checkpoint's]")
      ->configurable(false);
  CLI::Option* tokens = AddWhole(*command, "--tokens", request.tokens, "How many to generate [200]",
                                 kGeneratedTokens);
  AddReal(*command, "--temperature", request.temperature, "0: always the likeliest token [0.8]",
          kTemperature);
  AddWhole(*command, "--top-k", request.top_k, "Choose among the k likeliest; 0: all [40]");
  AddReal(*command, "--top-p", request.top_p,
          "Choose among the likeliest that together have this probability; 0: all [0]", kTopP);
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
