#include "tests/chaos/chaos_cluster.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/fd.h"
#include "client/controller_client.h"
#include "client/test_wait.h"
#include "fabric/test_network.h"
#include "gtest/gtest.h"
#include "proto/job_state.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;

constexpr const char* kController = "controller";
constexpr int kLastLines = 12;

// Those in this folder of what Bazel gave to the test, or, for a measurement, of the build tree.
RoleBinaries Binaries(const fs::path& programs) {
  const char* runfiles = std::getenv("TEST_SRCDIR");
  const absl::StatusOr<RoleBinaries> found =
      runfiles == nullptr
          ? FindRoleBinaries()
          : FindRoleBinariesFrom(fs::path(runfiles) / std::getenv("TEST_WORKSPACE") /
                                 (programs.empty() ? "client" : programs));
  WS_CHECK(found.ok());
  return *found;
}

// A port that nobody has at the moment. Nobody else takes ports in a network of our own.
uint16_t FreePort() {
  const Fd probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  WS_CHECK(bind(probe.get(), generic, size) == 0);
  WS_CHECK(getsockname(probe.get(), generic, &size) == 0);
  return ntohs(address.sin_port);
}

// "wafer" of "wafer-0".
std::string RoleOf(const std::string& id) { return id.substr(0, id.find('-')); }

std::string Tail(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  const std::vector<std::string> lines = absl::StrSplit(text.str(), '\n');
  const size_t first = lines.size() > kLastLines ? lines.size() - kLastLines : 0;
  std::string tail;
  for (size_t i = first; i < lines.size(); ++i) absl::StrAppend(&tail, "    ", lines[i], "\n");
  return tail;
}

fs::path FreshFolder(const std::string& name) {
  const fs::path dir = fs::path(testing::TempDir()) / name;
  fs::remove_all(dir);
  fs::create_directories(dir / "logs");
  fs::create_directories(dir / "state");
  return dir;
}

}  // namespace

bool HasEnded(const JobStatus& job) { return IsFinal(job.state()) || job.state() == PAUSED; }

ChaosCluster::ChaosCluster(const std::string& name, const ChaosOptions& options)
    : dir_(FreshFolder(name)), options_(options), binaries_(Binaries(options.programs)) {
  // Where it is refused, the host's network serves; only muting sockets then needs root.
  EnterOwnNetwork().IgnoreError();
  StartController();
  const std::pair<const char*, int> roles[] = {{"memoryx", options.shape.memoryx},
                                               {"swarmx", options.shape.swarmx},
                                               {"wafer", options.shape.wafers}};
  for (const auto& [role, count] : roles) {
    for (int i = 0; i < count; ++i) Start(absl::StrCat(role, "-", i));
  }
  AwaitRegistration();
}

ChaosCluster::~ChaosCluster() {
  ReportCrashes();
  if (testing::Test::HasFailure()) ADD_FAILURE() << LastWords();
}

// -- processes ---------------------------------------------------------------------------------

void ChaosCluster::StartController() {
  controller_address_ = absl::StrCat("127.0.0.1:", FreePort());
  client_ = std::make_unique<ControllerClient>(controller_address_);
  Start(kController);
  EXPECT_TRUE(WaitFor([&] { return Answers(); })) << LastWords();
}

bool ChaosCluster::Answers() {
  client_->AwaitConnection(absl::Milliseconds(50));
  return client_->Version().ok();
}

void ChaosCluster::AwaitRegistration() {
  const auto all = [&] {
    const absl::StatusOr<NodeList> nodes = client_->ListNodes();
    return nodes.ok() && nodes->nodes_size() == static_cast<int>(processes_.size()) - 1;
  };
  EXPECT_TRUE(WaitFor(all)) << LastWords();
}

std::vector<std::string> ChaosCluster::Command(const std::string& id) {
  if (id == kController) {
    return {binaries_.controller,
            "--port",
            controller_address_.substr(controller_address_.find(':') + 1),
            "--state",
            (options_.state.empty() ? dir_ / "state" : options_.state).string(),
            "--lease-ms",
            absl::StrCat(options_.lease_ms)};
  }
  const std::map<std::string, std::string> programs = {{"memoryx", binaries_.memoryx},
                                                       {"swarmx", binaries_.swarmx},
                                                       {"wafer", binaries_.wafer_node}};
  std::string program = programs.at(RoleOf(id));
  if (id == options_.faulty) absl::StrAppend(&program, "_faulty");
  std::vector<std::string> argv = {program, "--id", id, "--controller", controller_address_};
  if (!options_.fabric.empty()) argv.insert(argv.end(), {"--fabric", options_.fabric});
  if (options_.proxied.contains(id)) {
    std::unique_ptr<FaultProxy>& proxy = proxies_[id];
    if (proxy == nullptr) proxy = std::make_unique<FaultProxy>(FreePort());
    argv.insert(argv.end(), {"--fabric-port", absl::StrCat(proxy->target_port()),
                             "--advertise-fabric-port", absl::StrCat(proxy->port())});
  }
  return argv;
}

void ChaosCluster::Use(const fs::path& programs) { binaries_ = Binaries(programs); }

void ChaosCluster::Start(const std::string& id) {
  ProcessSpec spec;
  spec.name = id;
  spec.argv = Command(id);
  spec.log = (dir_ / "logs" / (id + ".log")).string();
  spec.argv.insert(spec.argv.end(), {"--host", "127.0.0.1", "--log", spec.log});
  setenv("WAFERSTREAM_FLIP", options_.flip.c_str(), 1);  // only faulty builds read it
  absl::StatusOr<ChildProcess> process = ChildProcess::Start(spec);
  ASSERT_TRUE(process.ok()) << process.status();
  processes_.erase(id);
  processes_.emplace(id, *std::move(process));
  killed_.erase(id);
}

void ChaosCluster::Kill(const std::string& id) {
  ChildProcess& process = processes_.at(id);
  process.Signal(SIGKILL);
  EXPECT_TRUE(WaitFor([&] { return !process.Running(); }));
  killed_.insert(id);
}

std::optional<int> ChaosCluster::Stop(const std::string& id) {
  ChildProcess& process = processes_.at(id);
  process.Signal(SIGTERM);
  EXPECT_TRUE(WaitFor([&] { return !process.Running(); }, absl::Seconds(90))) << LastWords();
  killed_.insert(id);
  return process.exit_code();
}

void ChaosCluster::Signal(const std::string& id, int signal) { processes_.at(id).Signal(signal); }

void ChaosCluster::ReportCrashes() {
  for (auto& [id, process] : processes_) {
    if (killed_.contains(id) || process.Running()) continue;
    ADD_FAILURE() << id << " " << process.HowItEnded() << "\n" << Tail(process.log());
    killed_.insert(id);  // said once
  }
}

std::string ChaosCluster::LastWords() const {
  std::string words;
  for (const auto& [id, process] : processes_) {
    absl::StrAppend(&words, "  ", id, ":\n", Tail(process.log()));
  }
  return words;
}

// -- jobs --------------------------------------------------------------------------------------

std::string ChaosCluster::Submit(const JobSpec& job) {
  SubmitRequest request;
  request.set_request_id(NewRequestId());
  *request.mutable_job() = job;
  absl::StatusOr<JobStatus> submitted = client_->Submit(request);
  EXPECT_TRUE(submitted.ok()) << submitted.status();
  return submitted.ok() ? submitted->job_id() : "";
}

JobStatus ChaosCluster::Get(const std::string& job_id) {
  absl::StatusOr<JobStatus> status = client_->Get(job_id);
  if (status.ok()) return last_[job_id] = *std::move(status);
  EXPECT_TRUE(MayComeBack(status.status())) << status.status();
  client_->AwaitConnection(absl::Milliseconds(50));
  return last_[job_id];
}

JobStatus ChaosCluster::Await(const std::string& job_id,
                              const std::function<bool(const JobStatus&)>& condition,
                              absl::Duration limit) {
  JobStatus job;
  const bool held = WaitFor(
      [&] {
        ReportCrashes();
        job = Get(job_id);
        return condition(job);
      },
      limit);
  EXPECT_TRUE(held) << "still " << JobState_Name(job.state()) << " at step " << job.step() << " of "
                    << job.steps() << ", epoch " << job.epoch() << ": " << job.reason() << "\n"
                    << Events(job_id);
  return job;
}

JobStatus ChaosCluster::AwaitEnd(const std::string& job_id) { return Await(job_id, HasEnded); }

NodeStatus ChaosCluster::Node(const std::string& id) {
  const absl::StatusOr<NodeList> nodes = client_->ListNodes();
  if (nodes.ok()) {
    for (const NodeStatus& node : nodes->nodes()) {
      if (node.node_id() == id) return node;
    }
  }
  return NodeStatus();
}

std::string ChaosCluster::Events(const std::string& job_id) {
  std::string lines;
  const absl::StatusOr<EventList> events = client_->Events(job_id);
  if (!events.ok()) return std::string(events.status().message());
  for (const Event& event : events->events()) absl::StrAppend(&lines, event.text(), "\n");
  return lines;
}

}  // namespace waferstream
