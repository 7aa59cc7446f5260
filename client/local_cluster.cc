#include "client/local_cluster.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "client/controller_client.h"

namespace waferstream {
namespace {

constexpr const char* kHost = "127.0.0.1";
constexpr const char* kPortFlag = "--port";
// Starting a process and registering takes milliseconds; a machine under heavy load, seconds.
constexpr absl::Duration kStartLimit = absl::Seconds(60);
// Every role promises to end within 5 s of SIGTERM.
constexpr absl::Duration kStopGrace = absl::Seconds(8);
constexpr absl::Duration kPoll = absl::Milliseconds(20);

// What a process said last about its troubles, or, if it had none, at all.
std::string LastWords(const std::string& log) {
  std::ifstream file(log);
  std::string last, last_trouble;
  for (std::string line; std::getline(file, line);) {
    if (line.empty()) continue;
    last = line;
    if (!absl::StrContains(line, "[info]")) last_trouble = line;
  }
  return last_trouble.empty() ? last : last_trouble;
}

// "wafer-0: exited with code 1; /x/wafer-0.log: ...".
std::string Obituary(const ChildProcess& process) {
  const std::string last = LastWords(process.log());
  return absl::StrCat(process.name(), ": ", process.HowItEnded(), "; ", process.log(), ": ",
                      last.empty() ? "is empty" : last);
}

absl::Status MakeDir(const std::string& dir) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (!error) return absl::OkStatus();
  return absl::ErrnoToStatus(error.value(), absl::StrCat(dir, ": cannot be created"));
}

// Empty until the controller has written its address, host:port, which it does in one rename.
std::string ReadAddress(const std::string& path) {
  std::ifstream file(path);
  std::string address;
  std::getline(file, address);
  return address;
}

}  // namespace

absl::StatusOr<LocalCluster> LocalCluster::Start(const LocalClusterOptions& options,
                                                 const InterruptCounter& interrupts) {
  ASSIGN_OR_RETURN(const RoleBinaries binaries, FindRoleBinaries());
  RETURN_IF_ERROR(MakeDir(options.dir + "/logs"));
  RETURN_IF_ERROR(MakeDir(options.dir + "/state"));
  LocalCluster cluster;
  RETURN_IF_ERROR(cluster.StartController(options, binaries.controller, interrupts));
  RETURN_IF_ERROR(cluster.StartNodes(options, binaries));
  RETURN_IF_ERROR(cluster.AwaitRegistration(interrupts));
  return cluster;
}

absl::Status LocalCluster::Launch(const LocalClusterOptions& options, const std::string& name,
                                  std::vector<std::string> argv) {
  ProcessSpec spec;
  spec.name = name;
  spec.log = absl::StrCat(options.dir, "/logs/", name, ".log");
  spec.argv = std::move(argv);
  spec.argv.insert(spec.argv.end(), {"--host", kHost, "--log", spec.log});
  spec.stays = options.stays;
  spec.inherited_fd = options.inherited_fd;
  ASSIGN_OR_RETURN(ChildProcess process, ChildProcess::Start(spec));
  processes_.push_back(std::move(process));
  lives_.push_back({.spec = std::move(spec)});
  return options.on_start ? options.on_start(processes_.back()) : absl::OkStatus();
}

absl::Status LocalCluster::StartController(const LocalClusterOptions& options,
                                           const std::string& binary,
                                           const InterruptCounter& interrupts) {
  const std::string port_file = options.dir + "/state/controller.port";
  std::error_code ignored;
  std::filesystem::remove(port_file, ignored);  // of an earlier cluster in this folder
  RETURN_IF_ERROR(Launch(options, "controller",
                         {binary, kPortFlag, absl::StrCat(options.controller_port), "--port-file",
                          port_file, "--state", options.dir + "/state"}));
  const absl::Time deadline = absl::Now() + kStartLimit;
  while ((address_ = ReadAddress(port_file)).empty()) {
    RETURN_IF_ERROR(CheckStartUp(interrupts, deadline));
    absl::SleepFor(kPoll);
  }
  // Started again, it must be where the nodes look for it.
  std::vector<std::string>& argv = lives_[0].spec.argv;
  *(std::find(argv.begin(), argv.end(), kPortFlag) + 1) = address_.substr(address_.rfind(':') + 1);
  return absl::OkStatus();
}

absl::Status LocalCluster::StartNodes(const LocalClusterOptions& options,
                                      const RoleBinaries& binaries) {
  const struct {
    const char* role;
    const std::string& binary;
    int count;
    bool has_kernels = false;
  } kRoles[] = {{"memoryx", binaries.memoryx, options.shape.memoryx},
                {"swarmx", binaries.swarmx, options.shape.swarmx},
                {"wafer", binaries.wafer_node, options.shape.wafers, true}};
  for (const auto& role : kRoles) {
    for (int i = 0; i < role.count; ++i) {
      const std::string id = absl::StrCat(role.role, "-", i);
      std::vector<std::string> argv = {role.binary, "--id",          id,  "--controller",
                                       address_,    "--fabric-port", "0", "--control-port",
                                       "0"};
      if (role.has_kernels && !options.kernel_isa.empty()) {
        argv.insert(argv.end(), {"--kernel-isa", options.kernel_isa});
      }
      RETURN_IF_ERROR(Launch(options, id, std::move(argv)));
    }
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::AwaitRegistration(const InterruptCounter& interrupts) {
  std::set<std::string> missing;
  for (size_t i = 1; i < processes_.size(); ++i) missing.insert(processes_[i].name());
  ControllerClient client(address_);
  const absl::Time deadline = absl::Now() + kStartLimit;
  for (;;) {
    const absl::StatusOr<NodeList> nodes = client.ListNodes();
    if (nodes.ok()) {
      for (const NodeStatus& node : nodes->nodes()) {
        if (node.state() != LOST) missing.erase(node.node_id());
      }
    }
    if (missing.empty()) return absl::OkStatus();
    RETURN_IF_ERROR(CheckStartUp(interrupts, deadline));
    client.AwaitConnection(kPoll);
    absl::SleepFor(kPoll);
  }
}

absl::Status LocalCluster::CheckStartUp(const InterruptCounter& interrupts, absl::Time deadline) {
  if (interrupts.count() > 0) return absl::CancelledError("interrupted while the cluster started");
  for (ChildProcess& process : processes_) {
    if (!process.Running()) return absl::AbortedError(Obituary(process));
  }
  if (absl::Now() < deadline) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat("cluster: not ready after ", absl::FormatDuration(kStartLimit), "; logs are in ",
                   std::filesystem::path(processes_[0].log()).parent_path().string()));
}

std::vector<std::string> LocalCluster::TakeCasualties() {
  std::vector<std::string> lines;
  for (size_t i = 0; i < processes_.size(); ++i) {
    if (lives_[i].reported || processes_[i].Running()) continue;
    lives_[i].reported = true;
    lines.push_back(Obituary(processes_[i]));
  }
  return lines;
}

absl::Status LocalCluster::Heal(const std::function<void(const std::string&)>& note) {
  const absl::Time now = absl::Now();
  for (size_t i = 0; i < processes_.size(); ++i) {
    if (processes_[i].Running()) continue;
    std::deque<absl::Time>& restarts = lives_[i].restarts;
    while (!restarts.empty() && now - restarts.front() > kRestartWindow) restarts.pop_front();
    const std::string obituary = Obituary(processes_[i]);
    if (static_cast<int>(restarts.size()) == kRestartsMax) {
      return absl::AbortedError(absl::StrCat(obituary, "; started again ", kRestartsMax,
                                             " times within ",
                                             absl::FormatDuration(kRestartWindow)));
    }
    restarts.push_back(now);
    note(absl::StrCat(obituary, "; starting it again"));
    ASSIGN_OR_RETURN(processes_[i], ChildProcess::Start(lives_[i].spec));
  }
  return absl::OkStatus();
}

void LocalCluster::Stop() { StopAll(processes_, kStopGrace); }

void LocalCluster::Release() {
  for (ChildProcess& process : processes_) process.Release();
  processes_.clear();
}

}  // namespace waferstream
