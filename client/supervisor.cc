#include "client/supervisor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errno_status.h"
#include "base/fd.h"
#include "base/status.h"
#include "client/interrupt.h"
#include "client/local_cluster.h"

namespace waferstream {
namespace {

constexpr absl::Duration kHealEvery = absl::Milliseconds(100);

void Note(const std::string& line) {
  const std::string now = absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::Now(), absl::LocalTimeZone());
  std::fprintf(stderr, "%s %s\n", now.c_str(), line.c_str());
}

absl::Status AlreadyUp(const std::string& dir) {
  const absl::StatusOr<ClusterFile> cluster = ReadClusterFile(dir);
  if (!cluster.ok() || cluster->controller.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(dir, ": another `waferctl up` is starting"));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "a cluster is up: controller ", cluster->controller, ", ", RunningProcesses(*cluster).size(),
      " of ", cluster->processes.size(), " processes; `waferctl down` ends it"));
}

// One supervisor a folder. The lock goes with the descriptor.
absl::StatusOr<Fd> LockDir(const std::string& dir) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat("--dir: ", dir, ": ", error.message()));
  Fd lock(open((dir + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock.valid()) return ErrnoStatus(errno, absl::StrCat("--dir: ", dir, "/lock"));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  return AlreadyUp(dir);
}

// The cluster and its file, which follows it.
class Supervisor {
 public:
  explicit Supervisor(const SupervisorOptions& options) : options_(options) {}

  // Starts it, or takes it over.
  absl::StatusOr<LocalCluster> Begin(const InterruptCounter& interrupts) {
    ASSIGN_OR_RETURN(file_.supervisor, IdentityOf(getpid()));
    file_.boot_id = BootId();
    file_.kernel_isa = options_.kernel_isa;
    file_.fabric = options_.fabric;
    const absl::StatusOr<ClusterFile> left = ReadClusterFile(options_.dir);
    if (!left.ok() && !absl::IsNotFound(left.status())) return left.status();
    if (!left.ok() || RunningProcesses(*left).empty()) return StartAnew(interrupts);
    return TakeOver(*left);
  }

  const ClusterFile& file() const { return file_; }

 private:
  LocalClusterOptions ClusterOptions() {
    LocalClusterOptions options;
    options.shape = options_.shape;
    options.kernel_isa = file_.kernel_isa;
    options.fabric = file_.fabric;
    options.dir = options_.dir;
    options.controller_port = options_.controller_port;
    options.stays = true;
    options.on_start = [this](const ChildProcess& process) { return Record(process); };
    return options;
  }

  absl::StatusOr<LocalCluster> StartAnew(const InterruptCounter& interrupts) {
    RETURN_IF_ERROR(CheckPortIsFree(options_.controller_port));
    RETURN_IF_ERROR(WriteClusterFile(options_.dir, file_));
    absl::StatusOr<LocalCluster> cluster = LocalCluster::Start(ClusterOptions(), interrupts);
    absl::Status status = cluster.status();
    if (status.ok()) {
      file_.controller = cluster->controller_address();
      status = WriteClusterFile(options_.dir, file_);
    }
    if (status.ok()) {
      Remember();
      return cluster;
    }
    RETURN_IF_ERROR(RemoveClusterFile(options_.dir));
    return status;
  }

  absl::StatusOr<LocalCluster> TakeOver(const ClusterFile& left) {
    if (left.controller.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat(options_.dir,
                       ": a cluster was not ready yet when its supervisor ended; `waferctl down` "
                       "ends what is left of it"));
    }
    file_.controller = left.controller;
    file_.kernel_isa = left.kernel_isa;
    file_.fabric = left.fabric;
    file_.processes = left.processes;
    RETURN_IF_ERROR(WriteClusterFile(options_.dir, file_));
    Remember();
    Note(absl::StrCat("taking over the cluster as it is: controller ", left.controller, ", ",
                      RunningProcesses(left).size(), " of ", left.processes.size(), " processes"));
    std::vector<LeftProcess> processes;
    for (const ClusterProcess& process : left.processes) {
      processes.push_back({process.name, process.identity});
    }
    return LocalCluster::TakeOver(ClusterOptions(), left.controller, processes);
  }

  // A cluster that is not found by its address alone can still be used with --secret-file.
  void Remember() {
    const absl::Status status = RememberCluster(file_.controller, options_.dir);
    if (!status.ok()) Note(std::string(status.message()));
  }

  // A process runs now, for the first time or again.
  absl::Status Record(const ChildProcess& process) {
    ASSIGN_OR_RETURN(const ProcessIdentity identity, IdentityOf(process.pid()));
    const auto known =
        std::find_if(file_.processes.begin(), file_.processes.end(),
                     [&](const ClusterProcess& p) { return p.name == process.name(); });
    if (known == file_.processes.end()) {
      file_.processes.push_back({process.name(), identity, process.log()});
    } else {
      known->identity = identity;
    }
    absl::Status written = WriteClusterFile(options_.dir, file_);
    if (written.ok() || file_.controller.empty()) return written;
    // A full disk is no reason to end a cluster that trains.
    Note(absl::StrCat(written.message(), ": ", process.name(), " is not on record"));
    return absl::OkStatus();
  }

  const SupervisorOptions options_;
  ClusterFile file_;
};

}  // namespace

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

absl::Status Supervise(const SupervisorOptions& options,
                       const std::function<absl::Status(const ClusterFile&)>& ready) {
  ASSIGN_OR_RETURN(const Fd lock, LockDir(options.dir));
  const InterruptCounter interrupts;
  Supervisor supervisor(options);
  ASSIGN_OR_RETURN(LocalCluster cluster, supervisor.Begin(interrupts));
  absl::Status status = ready(supervisor.file());
  while (status.ok() && interrupts.count() == 0) {
    absl::SleepFor(kHealEvery);
    status = cluster.Heal(Note);
  }
  cluster.Stop();
  const absl::Status removed = RemoveClusterFile(options.dir);
  return status.ok() ? removed : status;
}

}  // namespace waferstream
