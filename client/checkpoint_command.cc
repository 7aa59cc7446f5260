// `waferctl checkpoint init|list|export`: checkpoints without a cluster.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/flags.h"
#include "base/status.h"
#include "base/user_input.h"
#include "base/worker_pool.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/folder.h"
#include "checkpoint/initial_checkpoint.h"
#include "checkpoint/posix_disk.h"
#include "client/command.h"
#include "client/job_input.h"
#include "client/output.h"
#include "client/table.h"
#include "client/units.h"
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

struct ExportFlags {
  std::string from;
  std::string out;
  std::string dtype = "f32";
};

Outcome Init(const InitFlags& flags) {
  ASSIGN_OR_RETURN(const JobSpec job, LoadJob(flags.job));
  ASSIGN_OR_RETURN(const std::string out, AbsolutePath("--out", flags.out));
  WorkerPool workers(std::max(1u, std::thread::hardware_concurrency()));
  ASSIGN_OR_RETURN(const Manifest manifest, WriteInitialCheckpoint(PosixDisk(), job, out, workers));
  RETURN_IF_ERROR(PrintResult(absl::StrCat(manifest.weights_hash, "\n")));
  return ExitCode::kOk;
}

uint64_t BytesOf(const Manifest& manifest) {
  uint64_t bytes = 0;
  for (const auto& [name, digest] : manifest.files) bytes += digest.bytes;
  return bytes;
}

// Sizes always; with `hashes` every byte.
absl::Status CheckFiles(const CheckpointEntry& entry, bool hashes) {
  for (const auto& [name, digest] : entry.manifest.files) {
    const std::string path = absl::StrCat(entry.path, "/", name);
    ASSIGN_OR_RETURN(const std::unique_ptr<File> file, PosixDisk().OpenForReading(path));
    ASSIGN_OR_RETURN(const uint64_t bytes, file->Size());
    if (bytes != digest.bytes) {
      return absl::DataLossError(
          absl::StrCat(path, ": has ", bytes, " bytes, the checkpoint says ", digest.bytes));
    }
  }
  if (!hashes) return absl::OkStatus();
  const ModelSpec& model = entry.manifest.job.model();
  ASSIGN_OR_RETURN(const std::vector<Parameter> parameters, BuildParameters(model));
  ASSIGN_OR_RETURN(const CheckpointReader reader,
                   CheckpointReader::Open(PosixDisk(), entry.path, model, parameters, {}));
  return reader.Verify();
}

// The folder itself, if it is a checkpoint, or those in it.
absl::StatusOr<std::vector<CheckpointEntry>> Find(const std::string& dir) {
  absl::StatusOr<Manifest> manifest = ReadManifest(PosixDisk(), dir);
  if (manifest.ok()) return std::vector<CheckpointEntry>{{dir, *std::move(manifest)}};
  for (const std::string& folder : {dir, dir + "/checkpoints"}) {
    ASSIGN_OR_RETURN(std::vector<CheckpointEntry> entries, ListCheckpoints(PosixDisk(), folder));
    if (!entries.empty()) return entries;
  }
  return absl::NotFoundError(absl::StrCat(dir, ": no checkpoint there"));
}

Outcome List(const ListFlags& flags) {
  ASSIGN_OR_RETURN(const std::string dir, AbsolutePath("DIR", flags.dir));
  ASSIGN_OR_RETURN(const std::vector<CheckpointEntry> entries, Find(dir));
  Table table({{"CHECKPOINT"},
               {"STEPS", Align::kRight},
               {"LOSS", Align::kRight},
               {"SIZE", Align::kRight},
               {"WEIGHTS_HASH"},
               {"FILES"}});
  Json json = Json::array();
  absl::Status worst;
  for (const CheckpointEntry& entry : entries) {
    const absl::Status check = CheckFiles(entry, flags.verify);
    const Manifest& m = entry.manifest;
    table.Add({entry.path, absl::StrCat(m.steps_done), absl::StrFormat("%.4f", m.loss),
               HumanBytes(BytesOf(m)), m.weights_hash,
               !check.ok()    ? "damaged"
               : flags.verify ? "verified"
                              : "complete"});
    json.push_back({{"path", entry.path},
                    {"steps", m.steps_done},
                    {"loss", m.loss},
                    {"bytes", BytesOf(m)},
                    {"weights_hash", m.weights_hash},
                    {"optimizer_hash", m.optimizer_hash},
                    {"error", std::string(check.message())}});
    worst.Update(check);
  }
  RETURN_IF_ERROR(PrintResult(flags.format, table.Render(), json));
  if (!worst.ok()) return worst;
  return ExitCode::kOk;
}

Outcome Export(const ExportFlags& flags) {
  const Dtype dtype = flags.dtype == "bf16" ? Dtype::kBf16 : Dtype::kF32;
  ASSIGN_OR_RETURN(const std::string from, AbsolutePath("DIR", flags.from));
  ASSIGN_OR_RETURN(const std::string out, AbsolutePath("--out", flags.out));
  RETURN_IF_ERROR(ExportCheckpoint(PosixDisk(), from, out, dtype));
  return ExitCode::kOk;
}

void AddInit(CLI::App& parent, Outcome& outcome) {
  auto flags = std::make_shared<InitFlags>();
  CLI::App* command = parent.add_subcommand("init", "Write the weights that a job starts from");
  AddJobFlags(*command, flags->job);
  AddPath(*command, "--out", flags->out, "The new checkpoint folder")->required();
  command->callback([flags, &outcome] { outcome = Init(*flags); });
}

void AddList(CLI::App& parent, Outcome& outcome) {
  auto flags = std::make_shared<ListFlags>();
  CLI::App* command = parent.add_subcommand("list", "The checkpoints in a folder");
  AddPath(*command, "DIR", flags->dir, "A checkpoint, a folder of them, or a run folder")
      ->required();
  command->add_flag("--verify", flags->verify, "Read every byte and compare the hashes");
  AddOutputFlag(*command, flags->format);
  command->callback([flags, &outcome] { outcome = List(*flags); });
}

void AddExport(CLI::App& parent, Outcome& outcome) {
  auto flags = std::make_shared<ExportFlags>();
  CLI::App* command =
      parent.add_subcommand("export", "Write a checkpoint's model alone, for other programs");
  AddPath(*command, "DIR", flags->from, "The checkpoint")->required();
  AddPath(*command, "--out", flags->out, "The new folder")->required();
  AddWord(*command, "--dtype", flags->dtype, "f32|bf16", "Of the weights [f32]");
  command->callback([flags, &outcome] { outcome = Export(*flags); });
}

}  // namespace

void AddCheckpointCommand(CLI::App& app, Outcome& outcome) {
  CLI::App* command = app.add_subcommand("checkpoint", "Make, list and export checkpoints");
  command->require_subcommand(1);
  AddInit(*command, outcome);
  AddList(*command, outcome);
  AddExport(*command, outcome);
}

}  // namespace waferstream
