// `waferctl down`: ends what `waferctl up` started, and nothing else.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/flags.h"
#include "base/status.h"
#include "base/user_input.h"
#include "client/cluster_file.h"
#include "client/command.h"

namespace waferstream {
namespace {

constexpr absl::Duration kStopGrace = absl::Seconds(8);

// All at once: a node whose controller is gone first must not wait for it.
absl::Status EndAll(const std::vector<ClusterProcess>& processes) {
  std::vector<absl::Status> results(processes.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < processes.size(); ++i) {
    threads.emplace_back([&, i] { results[i] = EndProcess(processes[i].identity, kStopGrace); });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < processes.size(); ++i) {
    if (!results[i].ok()) {
      return absl::Status(results[i].code(),
                          absl::StrCat(processes[i].name, ": ", results[i].message()));
    }
  }
  return absl::OkStatus();
}

Outcome Down(const std::string& flag) {
  ASSIGN_OR_RETURN(const std::string dir,
                   AbsolutePath("--dir", flag.empty() ? DefaultClusterDir() : flag));
  ASSIGN_OR_RETURN(const ClusterFile cluster, ReadClusterFile(dir));
  const std::vector<ClusterProcess> running = RunningProcesses(cluster);
  RETURN_IF_ERROR(EndAll(running));
  RETURN_IF_ERROR(RemoveClusterFile(dir));
  std::fprintf(stderr, "down: %zu of %zu processes ended\n", running.size(),
               cluster.processes.size());
  return ExitCode::kOk;
}

}  // namespace

void AddDownCommand(CLI::App& app, Outcome& outcome) {
  auto dir = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("down", "End the cluster of `waferctl up`");
  AddPath(*command, "--dir", *dir, "Folder of the cluster [" + DefaultClusterDir() + "]");
  command->callback([dir, &outcome] { outcome = Down(*dir); });
}

}  // namespace waferstream
