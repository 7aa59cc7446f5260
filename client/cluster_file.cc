#include "client/cluster_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/regular_file.h"
#include "base/status.h"

namespace waferstream {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kFileBytesMax = 16 << 20;  // a process takes less than a kilobyte

std::string PathIn(const std::string& dir) { return dir + "/cluster.json"; }

Json ToJson(const ClusterFile& cluster) {
  Json processes = Json::array();
  for (const ClusterProcess& process : cluster.processes) {
    processes.push_back({{"name", process.name},
                         {"pid", process.identity.pid},
                         {"start_ticks", process.identity.start_ticks},
                         {"log", process.log}});
  }
  return {{"controller", cluster.controller},
          {"boot_id", cluster.boot_id},
          {"processes", std::move(processes)}};
}

// Throws what the library throws when a field is missing or of another type.
ClusterFile FromJson(const Json& json) {
  ClusterFile cluster;
  cluster.controller = json.at("controller").get<std::string>();
  cluster.boot_id = json.at("boot_id").get<std::string>();
  for (const Json& process : json.at("processes")) {
    cluster.processes.push_back(
        {.name = process.at("name"),
         .identity = {.pid = process.at("pid"), .start_ticks = process.at("start_ticks")},
         .log = process.at("log")});
  }
  return cluster;
}

}  // namespace

std::string DefaultClusterDir() {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state && *state == '/') return absl::StrCat(state, "/waferstream/cluster");
  const char* home = std::getenv("HOME");
  return absl::StrCat(home ? home : "/root", "/.local/state/waferstream/cluster");
}

absl::Status WriteClusterFile(const std::string& dir, const ClusterFile& cluster) {
  const std::string path = PathIn(dir);
  const std::string fresh = path + ".new";
  std::ofstream file(fresh);
  file << ToJson(cluster).dump(2) << "\n";
  file.close();
  if (!file || std::rename(fresh.c_str(), path.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, path);
  }
  return absl::OkStatus();
}

absl::StatusOr<ClusterFile> ReadClusterFile(const std::string& dir) {
  const std::string path = PathIn(dir);
  const absl::StatusOr<std::string> text = ReadRegularFile(path, kFileBytesMax);
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(absl::StrCat(path, ": no cluster is up"));
  }
  RETURN_IF_ERROR(text.status());
  try {
    return FromJson(Json::parse(*text));
  } catch (const Json::exception&) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is not a cluster file"));
  }
}

absl::Status RemoveClusterFile(const std::string& dir) {
  const std::string path = PathIn(dir);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return absl::ErrnoToStatus(errno, path);
  return absl::OkStatus();
}

std::vector<ClusterProcess> RunningProcesses(const ClusterFile& cluster) {
  std::vector<ClusterProcess> running;
  if (cluster.boot_id != BootId()) return running;
  for (const ClusterProcess& process : cluster.processes) {
    if (IsRunning(process.identity)) running.push_back(process);
  }
  return running;
}

}  // namespace waferstream
