#include "base/file_roots.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/flags.h"
#include "base/status.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;

absl::Status Wrong(const std::string& field, const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", path, " ", what));
}

bool IsBelow(const fs::path& path, const fs::path& root) {
  const fs::path relative = path.lexically_relative(root);
  return !relative.empty() && *relative.begin() != "..";
}

}  // namespace

void AddRootsFlag(CLI::App& app, std::string& roots) {
  AddPath(app, "--roots", roots,
          "Folders, separated by ':', that jobs may read and write in [anywhere]");
}

absl::StatusOr<std::vector<std::string>> ParseRoots(const std::string& roots) {
  std::vector<std::string> parsed;
  for (const auto& root : absl::StrSplit(roots, ':', absl::SkipEmpty())) {
    const fs::path path = std::string(root);
    std::error_code error;
    if (!path.is_absolute()) return Wrong("--roots", path, "is not an absolute path");
    const fs::path real = fs::canonical(path, error);
    if (error) return Wrong("--roots", path, absl::StrCat("cannot be used: ", error.message()));
    if (!fs::is_directory(real, error)) return Wrong("--roots", path, "is not a folder");
    parsed.push_back(real);
  }
  return parsed;
}

absl::Status CheckBelow(const std::string& field, const std::string& path,
                        const std::vector<std::string>& roots) {
  if (roots.empty() || path.empty()) return absl::OkStatus();
  std::error_code error;
  const fs::path real = fs::weakly_canonical(path, error);
  if (error) return Wrong(field, path, absl::StrCat("cannot be looked at: ", error.message()));
  for (const std::string& root : roots) {
    if (IsBelow(real, root)) return absl::OkStatus();
  }
  const std::string leads =
      real == path ? "" : absl::StrCat("leads to ", real.string(), ", which ");
  return Wrong(field, path,
               absl::StrCat(leads, "is outside of where jobs may read and write on this cluster (",
                            absl::StrJoin(roots, ", "), ")"));
}

}  // namespace waferstream
