// `waferctl up`: a local cluster that stays.
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/fd.h"
#include "base/flags.h"
#include "base/status.h"
#include "base/user_input.h"
#include "client/cluster_file.h"
#include "client/command.h"
#include "client/local_cluster.h"

namespace waferstream {
namespace {

struct UpFlags {
  ClusterShape shape = {.wafers = 2, .memoryx = 1, .swarmx = 1};
  int port = 0;
  std::string dir;
};

// Two `up` at once must not both find nothing there. The lock goes with the descriptor.
absl::StatusOr<Fd> LockDir(const std::string& dir) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat("--dir: ", dir, ": ", error.message()));
  Fd lock(open((dir + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("--dir: ", dir, "/lock"));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  return absl::FailedPreconditionError(absl::StrCat(dir, ": another `waferctl up` is starting"));
}

absl::Status CheckNoneIsUp(const std::string& dir) {
  const absl::StatusOr<ClusterFile> cluster = ReadClusterFile(dir);
  if (absl::IsNotFound(cluster.status())) return absl::OkStatus();
  RETURN_IF_ERROR(cluster.status());
  const size_t running = RunningProcesses(*cluster).size();
  if (running == 0) return RemoveClusterFile(dir);  // of before a reboot, or all were killed
  return absl::FailedPreconditionError(
      absl::StrCat("a cluster is up: controller ", cluster->controller, ", ", running, " of ",
                   cluster->processes.size(), " processes; `waferctl down` ends it"));
}

absl::Status CheckPortIsFree(int port) {
  if (port == 0) return absl::OkStatus();
  const Fd probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1;
  setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(probe.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--port: ", port, ": ", std::generic_category().message(errno)));
}

Outcome Up(const UpFlags& flags) {
  ASSIGN_OR_RETURN(const std::string dir,
                   AbsolutePath("--dir", flags.dir.empty() ? DefaultClusterDir() : flags.dir));
  RETURN_IF_ERROR(CheckPortIsFree(flags.port));
  ASSIGN_OR_RETURN(const Fd lock, LockDir(dir));
  RETURN_IF_ERROR(CheckNoneIsUp(dir));

  ClusterFile file;
  file.boot_id = BootId();
  LocalClusterOptions options;
  options.shape = flags.shape;
  options.dir = dir;
  options.controller_port = flags.port;
  options.stays = true;
  options.on_start = [&](const ChildProcess& process) -> absl::Status {
    ASSIGN_OR_RETURN(const ProcessIdentity identity, IdentityOf(process.pid()));
    file.processes.push_back({process.name(), identity, process.log()});
    return WriteClusterFile(dir, file);
  };
  const InterruptCounter interrupts;
  absl::StatusOr<LocalCluster> cluster = LocalCluster::Start(options, interrupts);
  if (!cluster.ok()) {
    RETURN_IF_ERROR(RemoveClusterFile(dir));
    return cluster.status();
  }
  file.controller = cluster->controller_address();
  RETURN_IF_ERROR(WriteClusterFile(dir, file));
  cluster->Release();
  std::printf("%s\n", file.controller.c_str());
  std::fprintf(stderr, "up: %zu processes; logs: %s/logs; `waferctl down` ends it\n",
               file.processes.size(), dir.c_str());
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
  AddPath(*command, "--dir", flags->dir, "Folder of the cluster [" + DefaultClusterDir() + "]");
  command->callback([flags, &outcome] { outcome = Up(*flags); });
}

}  // namespace waferstream
