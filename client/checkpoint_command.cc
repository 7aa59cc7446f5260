// `waferctl checkpoint init|list|import|export`: checkpoints without a cluster.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/flags.h"
#include "base/status.h"
#include "base/user_input.h"
#include "base/worker_pool.h"
#include "checkpoint/export.h"
#include "checkpoint/folder.h"
#include "checkpoint/import.h"
#include "checkpoint/initial_checkpoint.h"
#include "checkpoint/inspect.h"
#include "checkpoint/layout.h"
#include "checkpoint/origin.h"
#include "checkpoint/posix_disk.h"
#include "client/command.h"
#include "client/copy_progress.h"
#include "client/job_input.h"
#include "client/output.h"
#include "client/table.h"
#include "client/terminal_line.h"
#include "client/units.h"
#include "plan/byte_size.h"
#include "plan/plan.h"

namespace waferstream {
namespace {

struct InitFlags {
  JobFlags job;
  std::string out;
};

struct ListFlags {
  std::string dir;
  bool verify = false;
  Format format = Format::kTable;
};

struct ImportFlags {
  std::string from;
  std::string out;
};

struct ExportFlags {
  std::string from;
  std::string out;
  std::string dtype = "f32";
  std::string adapters = "merged";
  ExportOptions options;
};

Outcome Init(const InitFlags& flags) {
  ASSIGN_OR_RETURN(const JobSpec job, LoadJob(flags.job));
  ASSIGN_OR_RETURN(const std::string out, AbsolutePath("--out", flags.out));
  WorkerPool workers(UsableCpus());
  ASSIGN_OR_RETURN(const Manifest manifest, WriteInitialCheckpoint(PosixDisk(), job, out, workers));
  RETURN_IF_ERROR(PrintResult(absl::StrCat(manifest.weights_hash, "\n")));
  return ExitCode::kOk;
}

uint64_t BytesOf(const Manifest& manifest) {
  uint64_t bytes = 0;
  for (const auto& [name, digest] : manifest.files) bytes += digest.bytes;
  return bytes;
}

// The folder itself, if it is a checkpoint, or those in it.
absl::StatusOr<std::vector<FoundCheckpoint>> Find(const std::string& dir, Depth depth) {
  Disk& disk = PosixDisk();
  for (const std::string& folder : {dir, dir + "/checkpoints"}) {
    ASSIGN_OR_RETURN(std::vector<FoundCheckpoint> found, FindCheckpoints(disk, folder, depth));
    if (!found.empty()) return found;
  }
  for (const char* file : {kManifestFile, kModelFile, kOptimizerFile}) {
    if (!disk.Exists(absl::StrCat(dir, "/", file))) continue;
    const std::string name = std::filesystem::path(dir).filename().string();
    return std::vector<FoundCheckpoint>{
        {dir, StepsOfName(name).value_or(0), InspectCheckpoint(disk, dir, depth)}};
  }
  return absl::NotFoundError(absl::StrCat(dir, ": no checkpoint there"));
}

// A damaged one has a row with what is known of it.
void AddRow(const FoundCheckpoint& found, bool verified, Table& table) {
  if (!found.manifest.ok()) {
    table.Add({found.path, absl::StrCat(found.steps), "-", "-", "-", "-", "damaged"});
    return;
  }
  const Manifest& m = *found.manifest;
  table.Add({found.path, absl::StrCat(m.steps_done), absl::StrFormat("%.4f", m.loss),
             HumanBytes(BytesOf(m)), m.weights_hash, WriterOf(m),
             verified ? "verified" : "complete"});
}

Json RowJson(const FoundCheckpoint& found) {
  Json json = {{"path", found.path},
               {"steps", found.steps},
               {"loss", nullptr},
               {"bytes", nullptr},
               {"weights_hash", nullptr},
               {"optimizer_hash", nullptr},
               {"job", nullptr},
               {"name", nullptr},
               {"ancestors", Json::array()},
               {"error", std::string(found.manifest.status().message())}};
  if (!found.manifest.ok()) return json;
  const Manifest& m = *found.manifest;
  json["steps"] = m.steps_done;
  json["loss"] = m.loss;
  json["bytes"] = BytesOf(m);
  json["weights_hash"] = m.weights_hash;
  json["optimizer_hash"] = m.optimizer_hash;
  if (!m.written_by.job_id.empty()) json["job"] = m.written_by.job_id;
  json["name"] = m.job.name();
  json["ancestors"] = m.ancestors;
  return json;
}

Outcome List(const ListFlags& flags) {
  ASSIGN_OR_RETURN(const std::string dir, AbsolutePath("DIR", flags.dir));
  ASSIGN_OR_RETURN(const std::vector<FoundCheckpoint> found,
                   Find(dir, flags.verify ? Depth::kBytes : Depth::kSizes));
  Table table({{"CHECKPOINT"},
               {"STEPS", Align::kRight},
               {"LOSS", Align::kRight},
               {"SIZE", Align::kRight},
               {"WEIGHTS_HASH"},
               {"JOB"},
               {"FILES"}});
  Json json = Json::array();
  absl::Status worst;
  for (const FoundCheckpoint& checkpoint : found) {
    AddRow(checkpoint, flags.verify, table);
    json.push_back(RowJson(checkpoint));
    worst.Update(checkpoint.manifest.status());
  }
  RETURN_IF_ERROR(PrintResult(flags.format, table.Render(), json));
  if (!worst.ok()) return absl::DataLossError(worst.message());
  return ExitCode::kOk;
}

// On stderr, as long as this lives.
class CopyOnStderr {
 public:
  OnProgress Callback() {
    return [this](uint64_t done, uint64_t total) { progress_.Update(done, total, absl::Now()); };
  }

 private:
  CopyProgress progress_{stderr, TerminalLine::IsStderr(), absl::Now()};
};

Outcome Import(const ImportFlags& flags) {
  ASSIGN_OR_RETURN(const std::string from, AbsolutePath("PATH", flags.from));
  ASSIGN_OR_RETURN(const std::string out, AbsolutePath("--out", flags.out));
  absl::StatusOr<Manifest> manifest;
  {
    CopyOnStderr copy;
    manifest = ImportCheckpoint(PosixDisk(), from, out, copy.Callback());
  }
  RETURN_IF_ERROR(manifest.status());
  RETURN_IF_ERROR(PrintResult(absl::StrCat(manifest->weights_hash, "\n")));
  return ExitCode::kOk;
}

StoredDtype DtypeNamed(const std::string& name) {
  if (name == "bf16") return StoredDtype::kBf16;
  return name == "f16" ? StoredDtype::kF16 : StoredDtype::kF32;
}

Outcome Export(const ExportFlags& flags) {
  ExportOptions options = flags.options;
  options.dtype = DtypeNamed(flags.dtype);
  if (flags.adapters == "alone") options.adapters = AdapterExport::kAlone;
  ASSIGN_OR_RETURN(const std::string from, AbsolutePath("DIR", flags.from));
  ASSIGN_OR_RETURN(const std::string out, AbsolutePath("--out", flags.out));
  CopyOnStderr copy;
  RETURN_IF_ERROR(ExportCheckpoint(PosixDisk(), from, out, options, copy.Callback()));
  return ExitCode::kOk;
}

void AddInit(CLI::App& parent, Outcome& outcome) {
  auto flags = std::make_shared<InitFlags>();
  CLI::App* command = parent.add_subcommand("init", "Write the weights that a job starts from");
  AddJobFlags(*command, flags->job);
  AddPath(*command, "--out", flags->out, "The new checkpoint folder")
      ->required()
      ->configurable(false);
  command->callback([flags, &outcome] { outcome = Init(*flags); });
}

void AddList(CLI::App& parent, Outcome& outcome) {
  auto flags = std::make_shared<ListFlags>();
  CLI::App* command = parent.add_subcommand("list", "The checkpoints in a folder");
  AddPath(*command, "DIR", flags->dir, "A checkpoint, a folder of them, or a run folder")
      ->required();
  AddSwitch(*command, "--verify", flags->verify, "Read every byte and compare the hashes")
      ->configurable(false);
  AddOutputFlag(*command, flags->format);
  command->callback([flags, &outcome] { outcome = List(*flags); });
}

void AddImport(CLI::App& parent, Outcome& outcome) {
  auto flags = std::make_shared<ImportFlags>();
  CLI::App* command =
      parent.add_subcommand("import", "Write another program's model as a checkpoint");
  AddPath(*command, "PATH", flags->from,
          "A folder of Hugging Face's, nanoGPT's ckpt.pt, or llm.c's model file")
      ->required();
  AddPath(*command, "--out", flags->out, "The new checkpoint folder")
      ->required()
      ->configurable(false);
  command->callback([flags, &outcome] { outcome = Import(*flags); });
}

// Of a file's tensors. Less than a kilobyte each is a mistake, not a wish.
absl::Status TakeShardSize(const std::string& flag, const std::string& text, uint64_t& bytes) {
  ASSIGN_OR_RETURN(bytes, ParseByteSize(flag, text, {.low = 1000}));
  return absl::OkStatus();
}

void AddExport(CLI::App& parent, Outcome& outcome) {
  auto flags = std::make_shared<ExportFlags>();
  CLI::App* command =
      parent.add_subcommand("export", "Write a checkpoint's model alone, for other programs");
  AddPath(*command, "DIR", flags->from, "The checkpoint")->required();
  AddPath(*command, "--out", flags->out, "The new folder")->required()->configurable(false);
  AddWord(*command, "--dtype", flags->dtype, "f32|bf16|f16", "Of the weights [f32]");
  AddWord(*command, "--adapters", flags->adapters, "merged|alone",
          "Added to the weights, or alone as PEFT has them [merged]")
      ->configurable(false);
  AddFlagOf(*command, "--shard-size", "SIZE", "Of a file's tensors at most [5GB]",
            [flags](const std::string& flag, const std::string& text) {
              return TakeShardSize(flag, text, flags->options.shard_bytes_max);
            });
  command->callback([flags, &outcome] { outcome = Export(*flags); });
}

}  // namespace

void AddCheckpointCommand(CLI::App& app, Outcome& outcome) {
  CLI::App* command = app.add_subcommand("checkpoint", "Make, list, import and export checkpoints");
  command->require_subcommand(1);
  AddInit(*command, outcome);
  AddList(*command, outcome);
  AddImport(*command, outcome);
  AddExport(*command, outcome);
}

}  // namespace waferstream
