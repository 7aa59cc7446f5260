#include "client/binaries.h"

#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;

bool IsProgram(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && access(path.c_str(), X_OK) == 0;
}

// `built`: where a build tree has it, from the folder above.
absl::StatusOr<std::string> Find(const fs::path& beside, const std::string& name,
                                 const fs::path& built) {
  const fs::path places[] = {beside / ("waferstream-" + name), beside / name,
                             beside.parent_path() / built};
  for (const fs::path& place : places) {
    if (IsProgram(place)) return place.string();
  }
  return absl::NotFoundError(absl::StrCat(name, ": no such program in ", beside.string(), " or ",
                                          places[2].parent_path().string()));
}

absl::StatusOr<std::string> FindRole(const fs::path& beside, const std::string& role) {
  return Find(beside, role, fs::path(role) / role);
}

absl::StatusOr<fs::path> OwnFolder() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return absl::InternalError(absl::StrCat("/proc/self/exe: ", error.message()));
  return self.parent_path();
}

}  // namespace

absl::StatusOr<RoleBinaries> FindRoleBinariesFrom(const std::string& beside) {
  RoleBinaries binaries;
  ASSIGN_OR_RETURN(binaries.controller, FindRole(beside, "controller"));
  ASSIGN_OR_RETURN(binaries.memoryx, FindRole(beside, "memoryx"));
  ASSIGN_OR_RETURN(binaries.swarmx, FindRole(beside, "swarmx"));
  ASSIGN_OR_RETURN(binaries.wafer_node, FindRole(beside, "wafer_node"));
  return binaries;
}

absl::StatusOr<RoleBinaries> FindRoleBinaries() {
  ASSIGN_OR_RETURN(const fs::path beside, OwnFolder());
  return FindRoleBinariesFrom(beside.string());
}

absl::StatusOr<std::string> FindMpiBinary() {
  ASSIGN_OR_RETURN(const fs::path beside, OwnFolder());
  return Find(beside, "mpi", fs::path("deploy") / "mpi" / "waferstream-mpi");
}

}  // namespace waferstream
