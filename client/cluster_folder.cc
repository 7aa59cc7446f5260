#include "client/cluster_folder.h"

#include <signal.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/log_line.h"
#include "base/status.h"

namespace waferstream {
namespace {

absl::Status MakeDir(const std::string& dir) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (!error) return absl::OkStatus();
  return ErrnoStatus(error.value(), absl::StrCat(dir, ": cannot be created"));
}

}  // namespace

absl::Status MakeClusterFolders(const std::string& dir) {
  RETURN_IF_ERROR(MakeDir(dir + "/logs"));
  return MakeDir(dir + "/state");
}

absl::Status MakeTraceFolder(const std::string& dir) { return MakeDir(TraceFolderIn(dir)); }

std::string TraceFolderIn(const std::string& dir) { return dir + "/traces"; }

std::string ReadPortFile(const std::string& path) {
  std::ifstream file(path);
  std::string address;
  std::getline(file, address);
  return address;
}

std::string LastWords(const std::string& log) {
  std::ifstream file(log);
  std::string last, last_trouble;
  for (std::string line; std::getline(file, line);) {
    if (line.empty()) continue;
    ReadLogLine read = ParseLogLine(line);
    last = read.text;
    if (read.trouble) last_trouble = std::move(read.text);
  }
  return last_trouble.empty() ? last : last_trouble;
}

std::string Obituary(const ChildProcess& process, const std::string& how) {
  const std::string last = LastWords(process.log());
  return absl::StrCat(process.name(), ": ", how, "; ", process.log(), ": ",
                      last.empty() ? "is empty" : last);
}

std::string Obituary(const ChildProcess& process) {
  const std::string how = process.HowItEnded();
  // We did not; whoever else does is mostly the kernel.
  const bool killed = absl::StrContains(how, strsignal(SIGKILL));
  return Obituary(process, absl::StrCat(how, killed ? ": out of memory?" : ""));
}

}  // namespace waferstream
