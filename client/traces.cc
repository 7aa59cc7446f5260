#include "client/traces.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "base/errno_status.h"
#include "base/regular_file.h"
#include "base/status.h"

namespace waferstream {
namespace {

// One event of a process's trace (base/trace.h); empty: the line is none, or not whole.
absl::string_view EventOf(absl::string_view line) {
  line = absl::StripSuffix(line, ",");
  return absl::StartsWith(line, "{") && absl::EndsWith(line, "}") ? line : "";
}

}  // namespace

absl::Status CheckTraceFile(const std::string& out) {
  RETURN_IF_ERROR(CheckAppendable(out));
  const std::string folder = std::filesystem::path(out).parent_path().string();
  if (access(folder.empty() ? "." : folder.c_str(), W_OK | X_OK) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, out);
}

absl::Status JoinTraces(const std::string& folder, const std::string& out) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error);
  const std::filesystem::directory_iterator end;
  for (; !error && entry != end; entry.increment(error)) files.push_back(entry->path());
  if (error) return ErrnoStatus(error.value(), folder);
  std::sort(files.begin(), files.end());
  errno = 0;
  std::ofstream joined(out);
  const char* separator = "[\n";
  for (const std::filesystem::path& file : files) {
    std::ifstream lines(file);
    for (std::string line; std::getline(lines, line);) {
      const absl::string_view event = EventOf(line);
      if (event.empty()) continue;
      joined << separator << event;
      separator = ",\n";
    }
  }
  joined << (files.empty() ? "[" : "") << "\n]\n";
  if (!joined.flush()) return ErrnoStatus(errno, out);
  return absl::OkStatus();
}

}  // namespace waferstream
