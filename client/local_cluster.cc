#include "client/local_cluster.h"

#include <signal.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errno_status.h"
#include "base/flag_names.h"
#include "base/flags.h"
#include "base/own_process.h"
#include "base/status.h"
#include "client/cluster_folder.h"
#include "client/controller_client.h"
#include "client/secret_file.h"

namespace waferstream {
namespace {

constexpr const char* kHost = "127.0.0.1";
constexpr const char* kController = "controller";
// What an environment says of a process that other hosts reach, or of waferctl as their user.
constexpr const char* kNotForThese[] = {"listen",   "advertise-port", "advertise-fabric-port",
                                        "tls-cert", "tls-key",        "tls-ca",
                                        "tls-crl",  "users",          "roots",
                                        "insecure", "patience",       "trace"};
// Starting a process and registering takes milliseconds; a machine under heavy load, seconds.
constexpr absl::Duration kStartLimit = absl::Seconds(60);
// Every role promises to end within 5 s of SIGTERM.
constexpr absl::Duration kStopGrace = absl::Seconds(8);
constexpr absl::Duration kPoll = absl::Milliseconds(20);

// Of host:port.
std::string PortOf(const std::string& address) { return address.substr(address.rfind(':') + 1); }

// "wafer" of "wafer-0".
std::string RoleOf(const std::string& id) { return id.substr(0, id.find('-')); }

const std::string& BinaryOf(const RoleBinaries& binaries, const std::string& id) {
  const std::string role = RoleOf(id);
  if (role == kController) return binaries.controller;
  if (role == "memoryx") return binaries.memoryx;
  return role == "swarmx" ? binaries.swarmx : binaries.wafer_node;
}

}  // namespace

void AddFabricFlag(CLI::App& app, std::string& fabric) {
  AddWord(app, "--fabric", fabric, "auto|tcp|shm",
          "How payloads travel between the nodes: through memory that they share, or over TCP "
          "[auto: shared memory]");
}

size_t DescriptorsNeeded(const ClusterShape& shape) {
  // Each node may be connected to each other one, and the controller with each both ways; and each
  // may lend memory of its own, and pass on that of others.
  const size_t nodes = shape.wafers + shape.memoryx + shape.swarmx;
  return 4 * (nodes + 1) + kOwnDescriptors;
}

absl::StatusOr<LocalCluster> LocalCluster::Start(const LocalClusterOptions& options,
                                                 const InterruptCounter& interrupts) {
  RETURN_IF_ERROR(CheckDescriptors("cluster", DescriptorsNeeded(options.shape)));
  ASSIGN_OR_RETURN(const RoleBinaries binaries, FindRoleBinaries());
  RETURN_IF_ERROR(MakeClusterFolders(options.dir));
  if (options.traces) RETURN_IF_ERROR(MakeTraceFolder(options.dir));
  LocalCluster cluster(options);
  ASSIGN_OR_RETURN(cluster.credentials_, MakeSecretIn(options.dir));
  RETURN_IF_ERROR(cluster.StartController(binaries.controller, interrupts));
  RETURN_IF_ERROR(cluster.StartNodes(binaries));
  RETURN_IF_ERROR(cluster.AwaitRegistration(interrupts));
  cluster.WatchHealth();
  return cluster;
}

absl::StatusOr<LocalCluster> LocalCluster::TakeOver(const LocalClusterOptions& options,
                                                    const std::string& address,
                                                    const std::vector<LeftProcess>& processes) {
  ASSIGN_OR_RETURN(const RoleBinaries binaries, FindRoleBinaries());
  LocalCluster cluster(options);
  cluster.address_ = address;
  ASSIGN_OR_RETURN(cluster.credentials_, ReadSecretIn(options.dir));
  for (const LeftProcess& left : processes) {
    const std::string& binary = BinaryOf(binaries, left.name);
    const ProcessSpec spec = left.name == kController
                                 ? cluster.ControllerSpec(binary, PortOf(address))
                                 : cluster.NodeSpec(binary, left.name);
    cluster.processes_.push_back(ChildProcess::Adopt(spec, left.identity));
    cluster.lives_.push_back({.spec = spec});
  }
  cluster.WatchHealth();
  return cluster;
}

void LocalCluster::WatchHealth() {
  std::vector<std::string> nodes;
  for (size_t i = 1; i < processes_.size(); ++i) nodes.push_back(processes_[i].name());
  health_ = std::make_unique<ClusterHealth>(address_, credentials_, kController, nodes);
}

// -- starting ----------------------------------------------------------------------------------

ProcessSpec LocalCluster::Spec(const std::string& name, std::vector<std::string> argv) const {
  ProcessSpec spec;
  spec.name = name;
  spec.log = absl::StrCat(options_.dir, "/logs/", name, ".log");
  spec.argv = std::move(argv);
  spec.argv.insert(spec.argv.end(), {"--host", kHost, "--secret-file", SecretFileIn(options_.dir),
                                     "--log", spec.log});
  if (options_.traces) {
    spec.argv.insert(spec.argv.end(),
                     {"--trace", absl::StrCat(TraceFolderIn(options_.dir), "/", name, ".json")});
  }
  spec.stays = options_.stays;
  for (const char* flag : kNotForThese) spec.without.push_back(VariableOf(flag));
  spec.inherited_fd = options_.inherited_fd;
  return spec;
}

ProcessSpec LocalCluster::ControllerSpec(const std::string& binary, const std::string& port) const {
  return Spec(kController, {binary, "--port", port, "--port-file", PortFile(), "--state",
                            options_.dir + "/state"});
}

ProcessSpec LocalCluster::NodeSpec(const std::string& binary, const std::string& id) const {
  std::vector<std::string> argv = {
      binary, "--id", id, "--controller", address_, "--fabric-port", "0", "--control-port", "0"};
  argv.insert(argv.end(), {"--grace", "0"});  // whoever ends one of these ends all of them
  if (!options_.fabric.empty()) argv.insert(argv.end(), {"--fabric", options_.fabric});
  if (RoleOf(id) == "wafer" && !options_.kernel_isa.empty()) {
    argv.insert(argv.end(), {"--kernel-isa", options_.kernel_isa});
  }
  return Spec(id, std::move(argv));
}

absl::Status LocalCluster::Launch(const ProcessSpec& spec) {
  ASSIGN_OR_RETURN(ChildProcess process, ChildProcess::Start(spec));
  processes_.push_back(std::move(process));
  lives_.push_back({.spec = spec});
  return options_.on_start ? options_.on_start(processes_.back()) : absl::OkStatus();
}

absl::Status LocalCluster::StartController(const std::string& binary,
                                           const InterruptCounter& interrupts) {
  std::error_code ignored;
  std::filesystem::remove(PortFile(), ignored);  // of an earlier cluster in this folder
  RETURN_IF_ERROR(Launch(ControllerSpec(binary, absl::StrCat(options_.controller_port))));
  const absl::Time deadline = absl::Now() + kStartLimit;
  while ((address_ = ReadPortFile(PortFile())).empty()) {
    RETURN_IF_ERROR(CheckStartUp(interrupts, deadline));
    absl::SleepFor(kPoll);
  }
  // Started again, it must be where the nodes look for it.
  lives_[0].spec = ControllerSpec(binary, PortOf(address_));
  return absl::OkStatus();
}

absl::Status LocalCluster::StartNodes(const RoleBinaries& binaries) {
  const std::pair<const char*, int> kRoles[] = {{"memoryx", options_.shape.memoryx},
                                                {"swarmx", options_.shape.swarmx},
                                                {"wafer", options_.shape.wafers}};
  for (const auto& [role, count] : kRoles) {
    for (int i = 0; i < count; ++i) {
      const std::string id = absl::StrCat(role, "-", i);
      RETURN_IF_ERROR(Launch(NodeSpec(BinaryOf(binaries, id), id)));
    }
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::AwaitRegistration(const InterruptCounter& interrupts) {
  std::set<std::string> missing;
  for (size_t i = 1; i < processes_.size(); ++i) missing.insert(processes_[i].name());
  ControllerClient client(address_, credentials_);
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

// -- afterwards --------------------------------------------------------------------------------

std::string LocalCluster::HowItFared(size_t index) const {
  if (!lives_[index].hung) return Obituary(processes_[index]);
  return Obituary(processes_[index],
                  absl::StrCat("did not answer ", kMissesMax, " times in a row and was ended"));
}

std::vector<std::string> LocalCluster::TakeCasualties() {
  std::vector<std::string> lines;
  for (size_t i = 0; i < processes_.size(); ++i) {
    if (lives_[i].reported || processes_[i].Running()) continue;
    lives_[i].reported = true;
    lines.push_back(HowItFared(i));
  }
  return lines;
}

void LocalCluster::EndHung() {
  for (const std::string& name : health_->Hung()) {
    for (size_t i = 0; i < processes_.size(); ++i) {
      if (processes_[i].name() != name || !processes_[i].Running()) continue;
      lives_[i].hung = true;
      processes_[i].Signal(SIGKILL);
    }
  }
}

absl::Status LocalCluster::Heal(const std::function<void(const std::string&)>& note) {
  EndHung();
  const absl::Time now = absl::Now();
  for (size_t i = 0; i < processes_.size(); ++i) {
    if (processes_[i].Running()) continue;
    std::deque<absl::Time>& restarts = lives_[i].restarts;
    while (!restarts.empty() && now - restarts.front() > kRestartWindow) restarts.pop_front();
    const std::string obituary = HowItFared(i);
    if (static_cast<int>(restarts.size()) == kRestartsMax) {
      return absl::AbortedError(absl::StrCat(obituary, "; started again ", kRestartsMax,
                                             " times within ",
                                             absl::FormatDuration(kRestartWindow)));
    }
    restarts.push_back(now);
    note(absl::StrCat(obituary, "; starting it again"));
    RETURN_IF_ERROR(Restart(i));
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::Restart(size_t index) {
  ASSIGN_OR_RETURN(processes_[index], ChildProcess::Start(lives_[index].spec));
  lives_[index].hung = false;
  health_->Started(processes_[index].name());
  return options_.on_start ? options_.on_start(processes_[index]) : absl::OkStatus();
}

void LocalCluster::Stop() {
  StopAll(processes_, kStopGrace);
  health_.reset();  // now that its call to the controller fails at once
}

}  // namespace waferstream
