#include "client/cluster_file.h"

#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/regular_file.h"
#include "base/status.h"
#include "base/user_input.h"

namespace waferstream {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kFileBytesMax = 16 << 20;  // a process takes less than a kilobyte

std::string PathIn(const std::string& dir) { return dir + "/cluster.json"; }

// The link from a controller's address to its cluster's folder.
absl::StatusOr<std::string> LinkOf(const std::string& controller) {
  ASSIGN_OR_RETURN(const std::string dir, DefaultClusterDir());
  return absl::StrCat(dir, "s/", controller);
}

bool IsControllerOf(const std::string& dir, const std::string& controller) {
  const absl::StatusOr<ClusterFile> cluster = ReadClusterFile(dir);
  return cluster.ok() && cluster->controller == controller;
}

Json ToJson(const ProcessIdentity& process) {
  return {{"pid", process.pid}, {"start_ticks", process.start_ticks}};
}

Json ToJson(const ClusterFile& cluster) {
  Json processes = Json::array();
  for (const ClusterProcess& process : cluster.processes) {
    Json entry = {{"name", process.name}};
    entry.update(ToJson(process.identity));
    entry["log"] = process.log;
    processes.push_back(std::move(entry));
  }
  return {{"controller", cluster.controller}, {"supervisor", ToJson(cluster.supervisor)},
          {"boot_id", cluster.boot_id},       {"kernel_isa", cluster.kernel_isa},
          {"fabric", cluster.fabric},         {"processes", std::move(processes)}};
}

// Throws what the library throws when a field is missing or of another type.
ProcessIdentity IdentityFromJson(const Json& json) {
  return {.pid = json.at("pid"), .start_ticks = json.at("start_ticks")};
}

ClusterFile FromJson(const Json& json) {
  ClusterFile cluster;
  cluster.controller = json.at("controller").get<std::string>();
  cluster.supervisor = IdentityFromJson(json.at("supervisor"));
  cluster.boot_id = json.at("boot_id").get<std::string>();
  cluster.kernel_isa = json.at("kernel_isa").get<std::string>();
  cluster.fabric = json.value("fabric", "");
  for (const Json& process : json.at("processes")) {
    cluster.processes.push_back({.name = process.at("name"),
                                 .identity = IdentityFromJson(process),
                                 .log = process.at("log")});
  }
  return cluster;
}

}  // namespace

absl::StatusOr<std::string> DefaultClusterDir() {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state && *state == '/') return absl::StrCat(state, "/waferstream/cluster");
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home != '/') {
    const passwd* user = getpwuid(geteuid());
    home = user ? user->pw_dir : nullptr;
  }
  if (home && *home == '/') return absl::StrCat(home, "/.local/state/waferstream/cluster");
  return absl::InvalidArgumentError(
      "--dir: is needed, because neither XDG_STATE_HOME nor HOME nor the user database says where "
      "this user is at home");
}

absl::StatusOr<std::string> ClusterDir(const std::string& flag) {
  return flag.empty() ? DefaultClusterDir() : AbsolutePath("--dir", flag);
}

absl::Status WriteClusterFile(const std::string& dir, const ClusterFile& cluster) {
  const std::string path = PathIn(dir);
  const std::string fresh = path + ".new";
  errno = 0;  // a stream says that it failed, and not why
  std::ofstream file(fresh);
  file << ToJson(cluster).dump(2) << "\n";
  file.close();
  if (!file || std::rename(fresh.c_str(), path.c_str()) != 0) {
    return ErrnoStatus(errno, path);
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

absl::Status RememberCluster(const std::string& controller, const std::string& dir) {
  ASSIGN_OR_RETURN(const std::filesystem::path link, LinkOf(controller));
  std::error_code error;
  std::filesystem::create_directories(link.parent_path(), error);
  if (!error) std::filesystem::remove(link, error);
  if (!error) std::filesystem::create_symlink(dir, link, error);
  return error ? ErrnoStatus(error.value(), link.string()) : absl::OkStatus();
}

absl::StatusOr<std::string> FindClusterOf(const std::string& controller) {
  ASSIGN_OR_RETURN(std::string dir, DefaultClusterDir());
  if (IsControllerOf(dir, controller)) return dir;
  ASSIGN_OR_RETURN(const std::string link, LinkOf(controller));
  std::error_code error;
  dir = std::filesystem::read_symlink(link, error).string();
  if (!error && IsControllerOf(dir, controller)) return dir;
  return absl::NotFoundError(absl::StrCat(controller, ": no cluster of this user"));
}

absl::Status RemoveClusterFile(const std::string& dir) {
  const std::string path = PathIn(dir);
  const absl::StatusOr<ClusterFile> cluster = ReadClusterFile(dir);
  const absl::StatusOr<std::string> link =
      cluster.ok() ? LinkOf(cluster->controller) : cluster.status();
  if (link.ok()) unlink(link->c_str());
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, path);
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

bool IsSupervised(const ClusterFile& cluster) {
  return cluster.boot_id == BootId() && IsRunning(cluster.supervisor);
}

}  // namespace waferstream
