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

absl::StatusOr<std::string> Find(const fs::path& beside, const std::string& role) {
  const fs::path places[] = {beside / ("waferstream-" + role), beside / role,
                             beside.parent_path() / role / role};
  for (const fs::path& place : places) {
    if (IsProgram(place)) return place.string();
  }
  return absl::NotFoundError(absl::StrCat(role, ": no such program in ", beside.string(), " or ",
                                          places[2].parent_path().string()));
}

}  // namespace

absl::StatusOr<RoleBinaries> FindRoleBinariesFrom(const std::string& beside) {
  RoleBinaries binaries;
  ASSIGN_OR_RETURN(binaries.controller, Find(beside, "controller"));
  ASSIGN_OR_RETURN(binaries.memoryx, Find(beside, "memoryx"));
  ASSIGN_OR_RETURN(binaries.swarmx, Find(beside, "swarmx"));
  ASSIGN_OR_RETURN(binaries.wafer_node, Find(beside, "wafer_node"));
  return binaries;
}

absl::StatusOr<RoleBinaries> FindRoleBinaries() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return absl::InternalError(absl::StrCat("/proc/self/exe: ", error.message()));
  return FindRoleBinariesFrom(self.parent_path().string());
}

}  // namespace waferstream
