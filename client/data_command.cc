// `waferctl data prepare`: text, or tokens of other programs, as a token file.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/flags.h"
#include "base/status.h"
#include "base/user_input.h"
#include "base/worker_pool.h"
#include "checkpoint/new_folder.h"
#include "checkpoint/posix_disk.h"
#include "client/command.h"
#include "client/copy_progress.h"
#include "client/interrupt.h"
#include "client/output.h"
#include "client/terminal_line.h"
#include "data/input_files.h"
#include "data/learn.h"
#include "data/prepare.h"
#include "data/prepare_tokens.h"
#include "data/tokenizer_files.h"

namespace waferstream {
namespace {

// 256 bytes and the token that ends a document; a merge more is worth learning.
constexpr Bounds kLearnt = {.low = 258, .high = 1 << 20};
constexpr Bounds kVocab = {.low = 1, .high = 1 << 30};
constexpr const char* kNone = "none";

struct PrepareFlags {
  std::vector<std::string> inputs;
  std::string out;
  std::string tokenizer;
  std::string field = "text";
  std::string end_of_text;
  std::string save_tokenizer;
  std::string format = "table";
  uint32_t learn = 0;
  uint32_t vocab = 0;
  uint32_t threads = 0;
  bool chat = false;
  bool overwrite = false;
};

// On stderr, as long as this lives; ends the work at Ctrl-C.
class PrepareProgress {
 public:
  OnPrepared Callback() {
    return [this](uint64_t done, uint64_t total) { return Update(done, total); };
  }

 private:
  absl::Status Update(uint64_t done, uint64_t total) {
    progress_.Update(done, total, absl::Now());
    if (interrupts_.count() > 0) return absl::CancelledError("interrupted; nothing was written");
    return absl::OkStatus();
  }

  const InterruptCounter interrupts_;
  CopyProgress progress_{stderr, TerminalLine::IsStderr(), absl::Now()};
};

absl::Status FlagError(absl::string_view flag, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(flag, ": ", what));
}

// The token named by --end-of-text, or the tokenizer's own.
absl::StatusOr<std::optional<uint32_t>> EndOfText(const PrepareFlags& flags,
                                                  const TokenizerFiles& files) {
  if (flags.end_of_text == kNone) return std::nullopt;
  if (flags.end_of_text.empty()) {
    if (files.end_of_text || files.path == "bytes") return files.end_of_text;
    return FlagError("--end-of-text", absl::StrCat("which token of ", files.path,
                                                   " ends a document is not known; name one, or "
                                                   "say none"));
  }
  const std::optional<uint32_t> id = files.tokenizer().Id(flags.end_of_text);
  if (id) return id;
  return FlagError("--end-of-text",
                   absl::StrCat(files.path, " has no token \"", flags.end_of_text, "\""));
}

absl::StatusOr<Prepared> PrepareFromText(const PrepareFlags& flags,
                                         const std::vector<InputFile>& inputs,
                                         const TokenizerFiles& files) {
  PrepareOptions options;
  options.out = flags.out;
  options.overwrite = flags.overwrite;
  options.encoder.field = flags.field;
  options.encoder.chat = flags.chat;
  ASSIGN_OR_RETURN(options.encoder.end_of_text, EndOfText(flags, files));
  if (flags.chat) {
    if (!files.json) return FlagError("--chat", absl::StrCat(files.path, ": is no tokenizer.json"));
    if (!files.chat) {
      return FlagError("--chat", absl::StrCat("no chat template beside ", files.path,
                                              ": no chat_template.jinja, and no chat_template in "
                                              "tokenizer_config.json"));
    }
    for (const InputFile& input : inputs) {
      if (input.kind == InputKind::kJsonLines) continue;
      return FlagError("--chat", absl::StrCat(input.path, ": conversations are read from .jsonl"));
    }
  }
  WorkerPool workers(flags.threads > 0 ? static_cast<int>(flags.threads) : UsableCpus());
  PrepareProgress progress;
  return PrepareText(PosixDisk(), inputs, files, options, workers, progress.Callback());
}

absl::StatusOr<Prepared> PrepareFromTokens(const PrepareFlags& flags,
                                           const std::vector<InputFile>& inputs) {
  if (flags.chat) return FlagError("--chat", "tokens hold no conversations");
  TokensOptions options;
  options.out = flags.out;
  options.overwrite = flags.overwrite;
  if (flags.vocab > 0) options.vocab = flags.vocab;
  if (!flags.tokenizer.empty()) {
    ASSIGN_OR_RETURN(const TokenizerFiles files, OpenTokenizer(flags.tokenizer));
    options.vocab = options.vocab.value_or(files.tokenizer().vocab());
    options.tokenizer = files.xxh3_128;
    ASSIGN_OR_RETURN(options.end_of_text, EndOfText(flags, files));
  } else if (!flags.end_of_text.empty() && flags.end_of_text != kNone) {
    ASSIGN_OR_RETURN(const uint64_t id, ParseWhole("--end-of-text", flags.end_of_text, kVocab, {},
                                                   "the number of a token, or --tokenizer beside"));
    options.end_of_text = static_cast<uint32_t>(id);
  }
  PrepareProgress progress;
  return PrepareTokens(PosixDisk(), inputs, options, progress.Callback());
}

absl::StatusOr<std::string> Learn(const PrepareFlags& flags, const std::vector<InputFile>& inputs) {
  LearnOptions options;
  options.vocab = flags.learn;
  options.field = flags.field;
  if (!flags.end_of_text.empty()) options.end_of_text = flags.end_of_text;
  // Nothing is written yet: Ctrl-C just ends it.
  CopyProgress progress(stderr, TerminalLine::IsStderr(), absl::Now());
  return LearnTokenizer(PosixDisk(), inputs, options, [&](uint64_t done, uint64_t total) {
    progress.Update(done, total, absl::Now());
    return absl::OkStatus();
  });
}

// The tokenizer gets its name after the tokens have theirs.
absl::StatusOr<Prepared> LearnAndPrepare(const PrepareFlags& flags,
                                         const std::vector<InputFile>& inputs) {
  Disk& disk = PosixDisk();
  ASSIGN_OR_RETURN(const std::string folder,
                   AbsolutePath("--save-tokenizer", flags.save_tokenizer));
  if (disk.Exists(folder)) {
    return absl::AlreadyExistsError(absl::StrCat(folder, " is already there"));
  }
  ASSIGN_OR_RETURN(const std::string json, Learn(flags, inputs));
  const std::string end = flags.end_of_text.empty() ? "<|endoftext|>" : flags.end_of_text;
  ASSIGN_OR_RETURN(const std::unique_ptr<NewFolder> made, NewFolder::Create(disk, folder));
  RETURN_IF_ERROR(WriteTokenizerFiles(disk, made->partial(), json, end));
  ASSIGN_OR_RETURN(const TokenizerFiles files, OpenTokenizer(made->partial()));
  ASSIGN_OR_RETURN(Prepared prepared, PrepareFromText(flags, inputs, files));
  const absl::Status published = made->Publish();
  if (!published.ok()) disk.Remove(flags.out).IgnoreError();
  RETURN_IF_ERROR(published);
  return prepared;
}

absl::Status CheckLearning(const PrepareFlags& flags) {
  if (!flags.tokenizer.empty()) return FlagError("--learn", "not beside --tokenizer");
  if (flags.chat) return FlagError("--learn", "not from conversations");
  if (flags.end_of_text == kNone) return FlagError("--learn", "documents end with a token of it");
  if (flags.save_tokenizer.empty()) {
    return FlagError("--learn", "say where the tokenizer goes, with --save-tokenizer FOLDER");
  }
  return absl::OkStatus();
}

absl::StatusOr<Prepared> PrepareBy(const PrepareFlags& flags,
                                   const std::vector<InputFile>& inputs) {
  if (flags.learn == 0 && !flags.save_tokenizer.empty()) {
    return FlagError("--save-tokenizer", "is for what --learn learns");
  }
  if (flags.learn > 0) RETURN_IF_ERROR(CheckLearning(flags));
  if (!IsText(inputs.front().kind)) {
    if (flags.learn > 0) return FlagError("--learn", "from text, and these are tokens");
    return PrepareFromTokens(flags, inputs);
  }
  if (flags.vocab > 0) return FlagError("--vocab", "is for inputs that are tokens");
  if (flags.learn > 0) return LearnAndPrepare(flags, inputs);
  if (flags.tokenizer.empty()) {
    return FlagError("--tokenizer", "text needs one: a file or folder, bytes, or --learn N");
  }
  ASSIGN_OR_RETURN(const TokenizerFiles files, OpenTokenizer(flags.tokenizer));
  return PrepareFromText(flags, inputs, files);
}

Json PreparedJson(const std::string& out, const Prepared& prepared) {
  const TokenFileHeader& header = prepared.header;
  Json json = {{"file", out},
               {"tokens", header.tokens},
               {"documents", header.documents},
               {"vocab", header.vocab},
               {"token_bytes", header.token_bytes},
               {"masked", (header.flags & TokenFileHeader::kMasked) != 0},
               {"end_of_text", nullptr}};
  if (header.end_of_text != TokenFileHeader::kNoToken) json["end_of_text"] = header.end_of_text;
  return json;
}

std::string PreparedTable(const Json& json) {
  return absl::StrCat("file       ", json["file"].get<std::string>(), "\ntokens     ",
                      json["tokens"].get<uint64_t>(), "\ndocuments  ",
                      json["documents"].get<uint64_t>(), "\nvocab      ",
                      json["vocab"].get<uint32_t>(), "\n");
}

Outcome Prepare(PrepareFlags flags) {
  for (const std::string& input : flags.inputs) RETURN_IF_ERROR(CheckPath("INPUT", input));
  ASSIGN_OR_RETURN(flags.out, AbsolutePath("--out", flags.out));
  if (!absl::EndsWith(flags.out, ".bin")) return FlagError("--out", "a token file ends in .bin");
  ASSIGN_OR_RETURN(const std::vector<InputFile> inputs, FindInputs(flags.inputs));
  ASSIGN_OR_RETURN(const Prepared prepared, PrepareBy(flags, inputs));
  if (prepared.with_end_inside > 0) {
    absl::FPrintF(stderr, "note: the token that ends a document occurs inside %d of %d documents\n",
                  prepared.with_end_inside, prepared.header.documents);
  }
  const Json json = PreparedJson(flags.out, prepared);
  const Format format = flags.format == "json"   ? Format::kJson
                        : flags.format == "yaml" ? Format::kYaml
                                                 : Format::kTable;
  RETURN_IF_ERROR(PrintResult(format, PreparedTable(json), json));
  return ExitCode::kOk;
}

CLI::Option* AddText(CLI::App& app, const std::string& names, std::string& value,
                     const std::string& help) {
  return AddFlagOf(app, names, "TEXT", help,
                   [&value](const std::string& flag, const std::string& text) {
                     value = text;
                     return CheckText(flag, text);
                   });
}

void AddPrepare(CLI::App& parent, Outcome& outcome) {
  auto flags = std::make_shared<PrepareFlags>();
  CLI::App* command = parent.add_subcommand("prepare", "Make a token file of text or of tokens");
  command
      ->add_option("INPUT", flags->inputs,
                   "Files (.txt, .jsonl, .parquet; .bin, .idx) or folders of them")
      ->required()
      ->configurable(false);
  AddPath(*command, "-o,--out", flags->out, "The new token file (.bin)")
      ->required()
      ->configurable(false);
  AddPath(*command, "--tokenizer", flags->tokenizer,
          "tokenizer.json, tokenizer.model, a folder with one, or bytes")
      ->configurable(false);
  AddText(*command, "--field", flags->field, "What holds the text of a record [text]")
      ->configurable(false);
  AddText(*command, "--end-of-text", flags->end_of_text,
          "Token behind every document, or none [the tokenizer's]")
      ->configurable(false);
  AddSwitch(*command, "--chat", flags->chat, "Records are conversations; only answers are learnt")
      ->configurable(false);
  AddWhole(*command, "--learn", flags->learn, "Learn a vocabulary of so many tokens from the text",
           kLearnt)
      ->configurable(false);
  AddPath(*command, "--save-tokenizer", flags->save_tokenizer, "Folder for what --learn learns")
      ->configurable(false);
  AddWhole(*command, "--vocab", flags->vocab, "Of inputs that are tokens [what they say]", kVocab)
      ->configurable(false);
  AddWhole(*command, "--threads", flags->threads, "[as many as there are processors]",
           {.low = 1, .high = 1024})
      ->configurable(false);
  AddSwitch(*command, "--overwrite", flags->overwrite, "Replace the token file")
      ->configurable(false);
  AddWord(*command, "--output", flags->format, "json|yaml", "Print the result for a program")
      ->configurable(false);
  command->callback([flags, &outcome] { outcome = Prepare(*flags); });
}

}  // namespace

void AddDataCommand(CLI::App& app, Outcome& outcome) {
  CLI::App* command = app.add_subcommand("data", "Token files");
  command->require_subcommand(1);
  AddPrepare(*command, outcome);
}

}  // namespace waferstream
