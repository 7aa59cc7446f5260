// `waferctl up`: a local cluster that stays, and somebody who watches over it.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/fd.h"
#include "base/flags.h"
#include "base/status.h"
#include "base/user_input.h"
#include "client/cluster_file.h"
#include "client/cluster_folder.h"
#include "client/command.h"
#include "client/interrupt.h"
#include "client/kernel_isa.h"
#include "client/local_cluster.h"
#include "client/output.h"
#include "client/secret_file.h"
#include "client/supervisor.h"

namespace waferstream {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(20);

struct UpFlags {
  ClusterShape shape = {.wafers = 2, .memoryx = 1, .swarmx = 1};
  int port = 0;
  std::string kernel_isa;
  std::string fabric;
  std::string dir;
  bool foreground = false;
};

absl::Status Announce(const ClusterFile& cluster, const std::string& dir) {
  std::fprintf(stderr, "up: %zu processes; logs: %s/logs; secret: %s; `waferctl down` ends it\n",
               cluster.processes.size(), dir.c_str(), SecretFileIn(dir).c_str());
  return PrintResult(absl::StrCat(cluster.controller, "\n"));
}

// This command again, in a session of its own and in the foreground there.
absl::StatusOr<ProcessSpec> SupervisorSpec(const UpFlags& flags, const std::string& dir) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return absl::InternalError(absl::StrCat("/proc/self/exe: ", error.message()));
  std::filesystem::create_directories(dir + "/logs", error);
  if (error) return absl::InvalidArgumentError(absl::StrCat("--dir: ", dir, ": ", error.message()));
  ProcessSpec spec;
  spec.name = "supervisor";
  spec.log = dir + "/logs/supervisor.log";
  spec.argv = {self.string(), "up", "--foreground", "--dir", dir};
  const std::pair<const char*, int> kNumbers[] = {{"--wafers", flags.shape.wafers},
                                                  {"--memoryx", flags.shape.memoryx},
                                                  {"--swarmx", flags.shape.swarmx},
                                                  {"--port", flags.port}};
  for (const auto& [flag, value] : kNumbers) {
    spec.argv.insert(spec.argv.end(), {flag, absl::StrCat(value)});
  }
  if (!flags.kernel_isa.empty()) {
    spec.argv.insert(spec.argv.end(), {"--kernel-isa", flags.kernel_isa});
  }
  if (!flags.fabric.empty()) {
    spec.argv.insert(spec.argv.end(), {"--fabric", flags.fabric});
  }
  spec.stays = true;
  return spec;
}

// Whether the cluster of `dir` is ready, and this process watches over it.
bool IsReady(const std::string& dir, const ProcessIdentity& supervisor, ClusterFile* cluster) {
  absl::StatusOr<ClusterFile> file = ReadClusterFile(dir);
  if (!file.ok() || file->controller.empty() || file->supervisor != supervisor) return false;
  *cluster = *std::move(file);
  return true;
}

// Its last line is the reason, as it would have been ours.
ExitCode ReportEnd(const ChildProcess& supervisor) {
  const std::string reason = LastWords(supervisor.log());
  std::fprintf(stderr, "%s\n",
               reason.empty() ? absl::StrCat("waferctl: supervisor: ", supervisor.HowItEnded(),
                                             "; ", supervisor.log(), " is empty")
                                    .c_str()
                              : reason.c_str());
  const ExitCode code = static_cast<ExitCode>(supervisor.exit_code().value_or(1));
  return code == ExitCode::kOk ? ExitCode::kCancelled : code;  // somebody ended it
}

Outcome UpInBackground(const UpFlags& flags, const std::string& dir) {
  ASSIGN_OR_RETURN(const ProcessSpec spec, SupervisorSpec(flags, dir));
  const InterruptCounter interrupts;
  ASSIGN_OR_RETURN(ChildProcess supervisor, ChildProcess::Start(spec));
  ASSIGN_OR_RETURN(const ProcessIdentity identity, IdentityOf(supervisor.pid()));
  bool asked_to_end = false;
  for (ClusterFile cluster; supervisor.Running(); absl::SleepFor(kPoll)) {
    if (IsReady(dir, identity, &cluster)) {
      supervisor.Release();
      RETURN_IF_ERROR(Announce(cluster, dir));
      return ExitCode::kOk;
    }
    if (interrupts.count() > 0 && !asked_to_end) {
      asked_to_end = true;
      supervisor.Signal(SIGTERM);
    }
  }
  return ReportEnd(supervisor);
}

Outcome Up(const UpFlags& flags) {
  ASSIGN_OR_RETURN(const std::string dir, ClusterDir(flags.dir));
  // Before anything exists on the disk. A cluster that is there has its port, and keeps it.
  RETURN_IF_ERROR(AskKernelIsa(flags.kernel_isa).status());
  if (absl::IsNotFound(ReadClusterFile(dir).status())) {
    RETURN_IF_ERROR(CheckPortIsFree(flags.port));
  }
  if (!flags.foreground) return UpInBackground(flags, dir);
  SupervisorOptions options;
  options.shape = flags.shape;
  options.kernel_isa = flags.kernel_isa;
  options.fabric = flags.fabric;
  options.controller_port = flags.port;
  options.dir = dir;
  RETURN_IF_ERROR(
      Supervise(options, [&](const ClusterFile& cluster) { return Announce(cluster, dir); }));
  return ExitCode::kOk;
}

}  // namespace

void AddUpCommand(CLI::App& app, Outcome& outcome) {
  auto flags = std::make_shared<UpFlags>();
  CLI::App* command = app.add_subcommand("up", "Start a local cluster that stays");
  const Bounds count = {.low = 1, .high = 4096};
  AddWhole(*command, "--wafers", flags->shape.wafers, "Wafer nodes [2]", count);
  AddWhole(*command, "--memoryx", flags->shape.memoryx, "MemoryX nodes [1]", count);
  AddWhole(*command, "--swarmx", flags->shape.swarmx, "SwarmX nodes [1]", count);
  AddWhole(*command, "--port", flags->port, "Port of the controller [any free one]",
           {.high = 65535});
  AddKernelIsaFlag(*command, flags->kernel_isa);
  AddFabricFlag(*command, flags->fabric);
  AddPath(*command, "--dir", flags->dir,
          "Folder of the cluster [~/.local/state/waferstream/cluster]");
  AddSwitch(*command, "--foreground", flags->foreground,
            "Stay, and watch over the cluster, until SIGTERM");
  command->callback([flags, &outcome] { outcome = Up(*flags); });
}

}  // namespace waferstream
