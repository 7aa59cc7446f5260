#include "client/process_identity.h"

#include <signal.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/errno_status.h"
#include "base/fd.h"
#include "client/pidfd.h"

namespace waferstream {
namespace {

struct ProcStat {
  char state = 'X';
  uint64_t start_ticks = 0;
};

absl::StatusOr<ProcStat> ReadProcStat(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::stringstream text;
  text << file.rdbuf();
  // The second field is the command in parentheses and may itself hold spaces and parentheses.
  const std::string line = text.str();
  const size_t after_command = line.rfind(") ");
  ProcStat stat;
  if (after_command != std::string::npos) {
    const std::vector<std::string> fields = absl::StrSplit(line.substr(after_command + 2), ' ');
    if (fields.size() > 19 && absl::SimpleAtoi(fields[19], &stat.start_ticks)) {
      stat.state = fields[0][0];
      return stat;
    }
  }
  return absl::NotFoundError(absl::StrCat("process ", pid, ": not running"));
}

}  // namespace

absl::StatusOr<ProcessIdentity> IdentityOf(pid_t pid) {
  const absl::StatusOr<ProcStat> stat = ReadProcStat(pid);
  if (!stat.ok()) return stat.status();
  return ProcessIdentity{pid, stat->start_ticks};
}

bool IsRunning(const ProcessIdentity& process) {
  const absl::StatusOr<ProcStat> stat = ReadProcStat(process.pid);
  return stat.ok() && stat->start_ticks == process.start_ticks && stat->state != 'Z' &&
         stat->state != 'X';
}

absl::Status EndProcess(const ProcessIdentity& process, absl::Duration grace) {
  // The descriptor first, then the check: from here on it means one process, whatever happens to
  // the number.
  const Fd pidfd(pidfd_open(process.pid, 0));
  if (!pidfd.valid() || !IsRunning(process)) return absl::OkStatus();
  for (const int signal : {SIGTERM, SIGKILL}) {
    if (pidfd_send_signal(pidfd.get(), signal, nullptr, 0) != 0 && errno != ESRCH) {
      return ErrnoStatus(errno, absl::StrCat("process ", process.pid));
    }
    if (EndsWithin(pidfd, signal == SIGTERM ? grace : absl::Seconds(5))) return absl::OkStatus();
  }
  return absl::DeadlineExceededError(
      absl::StrCat("process ", process.pid, ": still there after SIGKILL"));
}

std::string BootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace waferstream
