// What a rank of `waferctl mpi-run` is: rank 0 has the controller, every other one a node.
//
//   waferstream-mpi head FLAGS   rank 0; serves until SIGTERM, then ends all ranks in order
//   waferstream-mpi node         any other rank; does what the head tells it
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/flag_sources.h"
#include "base/flags.h"
#include "base/host_port.h"
#include "base/own_process.h"
#include "base/status.h"
#include "checkpoint/posix_disk.h"
#include "controller/serving_controller.h"
#include "deploy/mpi/launch.h"
#include "fabric/mpi_fabric.h"
#include "memoryx/memoryx_role.h"
#include "node/serve_node.h"
#include "swarmx/swarmx_role.h"
#include "wafer_node/wafer_role.h"

namespace waferstream {
namespace {

// The documented exit codes (see `waferctl --help`).
enum ExitCode { kDone = 0, kFailed = 1, kUsage = 2 };

struct HeadFlags {
  uint32_t memoryx = 0;
  uint32_t swarmx = 0;
  uint32_t wafers = 0;
  std::string state_dir;
  std::string secret_file;
  std::string port_file;
  std::string logs;
  LogTerms log;
  std::string kernel_isa;
  bool insecure = false;
};

// Where this rank's ports are, and how others reach them.
struct Place {
  std::string host = "127.0.0.1";
  std::string address = "127.0.0.1";
};

absl::StatusOr<Place> PlaceOf(const MpiProcess& mpi, bool one_host) {
  if (one_host) return Place();
  Place place{.host = mpi.host()};
  ASSIGN_OR_RETURN(place.address, ResolveHost(place.host));
  return place;
}

int Fail(const std::string& who, const absl::Status& why, int exit_code = kFailed) {
  std::fprintf(stderr, "%s: %s\n", who.c_str(), std::string(why.message()).c_str());
  return exit_code;
}

std::string TextOf(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// -- rank 0 --------------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<ServingController>> StartController(const MpiProcess& mpi,
                                                                   const HeadFlags& flags) {
  if (!mpi.one_host() && !flags.insecure) {
    return absl::InvalidArgumentError(
        "the ranks are on several hosts, and speak in the clear: who is on the way between them "
        "reads "
        "and changes what is said; mpi-run --insecure says that nobody is");
  }
  ASSIGN_OR_RETURN(const Place place, PlaceOf(mpi, mpi.one_host()));
  ASSIGN_OR_RETURN(const auto secret, ClusterSecret::ReadFile(flags.secret_file));
  return ServingController::Start(
      {.listen = {.address = place.address, .credentials = {.secret = secret}},
       .host = place.host,
       .state_dir = flags.state_dir,
       .log = flags.log});
}

absl::Status ServeHead(const MpiProcess& mpi, const HeadFlags& flags, const sigset_t& signals) {
  const auto controller = StartController(mpi, flags);
  MpiLaunch launch;
  if (controller.ok()) {
    launch.set_controller((*controller)->address());
    launch.set_secret(TextOf(flags.secret_file));
    launch.set_one_host(mpi.one_host());
    launch.set_memoryx(flags.memoryx);
    launch.set_swarmx(flags.swarmx);
    launch.set_wafers(flags.wafers);
    launch.set_logs(flags.logs);
    launch.set_kernel_isa(flags.kernel_isa);
    launch.set_log_level(flags.log.level);
    launch.set_log_format(flags.log.format);
  }
  mpi.Share(launch);
  RETURN_IF_ERROR(controller.status());
  RETURN_IF_ERROR(WritePortFile(flags.port_file, (*controller)->address()));
  int signal = 0;
  sigwait(&signals, &signal);
  mpi.EndAll();
  (*controller)->Stop();
  return absl::OkStatus();
}

// -- the others ----------------------------------------------------------------------------------

std::unique_ptr<NodeRole> MakeRole(const std::string& id) {
  if (absl::StartsWith(id, "memoryx")) return std::make_unique<MemoryxRole>(PosixDisk());
  if (absl::StartsWith(id, "swarmx")) return std::make_unique<SwarmxRole>();
  return std::make_unique<WaferRole>(PosixDisk());
}

// As if its command line had said so.
absl::Status UseKernelIsa(NodeRole& role, const std::string& isa) {
  if (isa.empty() || role.kind() != WAFER) return absl::OkStatus();
  CLI::App app;
  role.AddFlags(app);
  try {
    app.parse("--kernel-isa " + isa);
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  return absl::OkStatus();
}

int ServeRank(const MpiProcess& mpi, const MpiLaunch& launch) {
  const std::string id = NodeIdOf(launch, mpi.rank());
  const absl::StatusOr<Place> place = PlaceOf(mpi, launch.one_host());
  if (!place.ok()) return Fail(id, place.status());
  const auto secret = ClusterSecret::Parse("rank 0's secret", launch.secret());
  if (!secret.ok()) return Fail(id, secret.status());
  const std::unique_ptr<NodeRole> role = MakeRole(id);
  const absl::Status able = UseKernelIsa(*role, launch.kernel_isa());
  if (!able.ok()) return Fail(id, able, kUsage);
  static std::atomic<bool> done;  // the head says so
  const bool has_folder = access(launch.logs().c_str(), W_OK) == 0;
  const int code =
      ServeNode({.id = id,
                 .controller = launch.controller(),
                 .host = place->host,
                 .listen = {.address = place->address, .credentials = {.secret = *secret}},
                 .log = {.file = has_folder ? absl::StrCat(launch.logs(), "/", id, ".log") : "",
                         .level = launch.log_level(),
                         .format = launch.log_format()},
                 .fabric =
                     [](boost::asio::io_context& io) {
                       return MakeMpiFabric(io, [] {
                         done = true;
                         kill(getpid(), SIGTERM);
                       });
                     }},
                *role);
  // Without a word: mpirun ends the others in the same way, once one has failed.
  if (code == kDone && !done) _exit(kFailed);
  return code;
}

// -- both ----------------------------------------------------------------------------------------

// Before MPI makes its threads: a stop signal is for whoever waits for it.
sigset_t BlockStopSignals() {
  sigset_t signals = HeededSignals({SIGTERM, SIGINT, SIGHUP});
  sigaddset(&signals, SIGTERM);  // by which the head ends every rank
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

int Main(int argc, char** argv) {
  SettleProcess();
  CLI::App app("A rank of `waferctl mpi-run`, which starts it", "waferstream-mpi");
  app.require_subcommand(1);
  HeadFlags flags;
  CLI::App* head = app.add_subcommand("head", "Rank 0: the controller");
  AddWhole(*head, "--memoryx", flags.memoryx, "MemoryX ranks")->required();
  AddWhole(*head, "--swarmx", flags.swarmx, "SwarmX ranks")->required();
  AddWhole(*head, "--wafers", flags.wafers, "wafer ranks")->required();
  AddPath(*head, "--state", flags.state_dir, "The controller's state directory")->required();
  AddPath(*head, "--secret-file", flags.secret_file, "The cluster's secret")->required();
  AddPath(*head, "--port-file", flags.port_file, "Gets host:port")->required();
  AddPath(*head, "--logs", flags.logs, "Folder for the nodes' logs")->required();
  AddLogFlags(*head, flags.log);
  AddName(*head, "--kernel-isa", flags.kernel_isa, "Of the wafer nodes");
  head->add_flag("--insecure", flags.insecure, "Ranks may be on several hosts");
  app.add_subcommand("node", "Any other rank");
  FlagSources sources;  // for the logs: all else rank 0 is told, and tells
  try {
    sources.Parse(app, argc, argv);
  } catch (const CLI::ParseError& error) {
    return ReportParseError("waferstream-mpi", app, error);
  }
  const sigset_t signals = BlockStopSignals();
  const MpiProcess mpi;
  if (*head) {
    const absl::Status served = ServeHead(mpi, flags, signals);
    return served.ok() ? kDone : Fail("controller", served);
  }
  const MpiLaunch launch = mpi.Share({});
  if (launch.controller().empty()) return kDone;
  const int code = ServeRank(mpi, launch);
  if (code != kDone) mpi.Abort(code);
  return kDone;
}

}  // namespace
}  // namespace waferstream

int main(int argc, char** argv) { return waferstream::Main(argc, argv); }
