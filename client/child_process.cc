#include "client/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/fd.h"
#include "base/status.h"
#include "client/pidfd.h"

namespace waferstream {
namespace {

// What the child needs, prepared before the fork: after it only async-signal-safe calls are
// allowed.
struct Launch {
  std::vector<char*> argv;
  std::vector<char*> variables;
  int log_fd;
  int null_fd;
  int error_fd;  // closes when exec succeeds, carries errno when it does not
  int inherited_fd;
  bool stays;
  pid_t parent;
};

[[noreturn]] void FailInChild(const Launch& launch) {
  const int error = errno;
  [[maybe_unused]] ssize_t ignored = write(launch.error_fd, &error, sizeof error);
  _exit(127);
}

// What was ignored before us stays ignored, except the signal by which we end our children: who
// ignored SIGTERM meant us, and we answer for them.
void ResetSignals(bool stays) {
  for (int signal : {SIGTERM, SIGPIPE, SIGCHLD}) ::signal(signal, SIG_DFL);
  // The terminal's end is not that of a process which stays.
  if (stays) ::signal(SIGHUP, SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void RunChild(const Launch& launch) {
  if (launch.stays) {
    setsid();
  } else {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    // The parent may have died between the fork and the line above; then nobody will tell us.
    if (getppid() != launch.parent) _exit(0);
  }
  ResetSignals(launch.stays);
  dup2(launch.null_fd, STDIN_FILENO);
  dup2(launch.log_fd, STDOUT_FILENO);
  dup2(launch.log_fd, STDERR_FILENO);
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  if (launch.inherited_fd >= 0) fcntl(launch.inherited_fd, F_SETFD, 0);
  execve(launch.argv[0], launch.argv.data(), launch.variables.data());
  FailInChild(launch);
}

// Waits for the child's exec. The error says what is wrong with which file.
absl::Status AwaitExec(int error_fd, const std::string& binary) {
  int error = 0;
  ssize_t got;
  do {
    got = read(error_fd, &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  if (got == 0) return absl::OkStatus();
  return ErrnoStatus(got < 0 ? errno : error, absl::StrCat(binary, ": cannot be executed"));
}

// This process's variables, as exec wants them.
std::vector<char*> Inherited(const std::vector<std::string>& without) {
  std::vector<char*> variables;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const absl::string_view text = *variable;
    const absl::string_view name = text.substr(0, text.find('='));
    if (std::find(without.begin(), without.end(), name) == without.end()) {
      variables.push_back(*variable);
    }
  }
  variables.push_back(nullptr);
  return variables;
}

}  // namespace

absl::StatusOr<ChildProcess> ChildProcess::Start(const ProcessSpec& spec) {
  const Fd log(open(spec.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!log.valid()) return ErrnoStatus(errno, spec.log);
  const Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  int pipe_fds[2];
  if (!null.valid() || pipe2(pipe_fds, O_CLOEXEC) != 0) return ErrnoStatus(errno, spec.name);
  const Fd error_read(pipe_fds[0]);
  Fd error_write(pipe_fds[1]);

  Launch launch = {.argv = {},
                   .variables = Inherited(spec.without),
                   .log_fd = log.get(),
                   .null_fd = null.get(),
                   .error_fd = error_write.get(),
                   .inherited_fd = spec.inherited_fd,
                   .stays = spec.stays,
                   .parent = getpid()};
  for (const std::string& arg : spec.argv) launch.argv.push_back(const_cast<char*>(arg.c_str()));
  launch.argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid < 0) return ErrnoStatus(errno, absl::StrCat(spec.name, ": cannot start a process"));
  if (pid == 0) RunChild(launch);
  error_write.Close();
  ChildProcess child(spec, pid);
  RETURN_IF_ERROR(AwaitExec(error_read.get(), spec.argv[0]));
  return child;
}

ChildProcess ChildProcess::Adopt(const ProcessSpec& spec, const ProcessIdentity& process) {
  ChildProcess child(spec, process.pid);
  // The descriptor first: from here on it means one process, whatever happens to the number.
  child.adopted_ = Fd(pidfd_open(process.pid, 0));
  child.ended_ = !child.adopted_.valid() || !IsRunning(process);
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : name_(std::move(other.name_)),
      log_(std::move(other.log_)),
      pid_(std::exchange(other.pid_, -1)),
      adopted_(std::move(other.adopted_)),
      ended_(other.ended_),
      wait_status_(other.wait_status_) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this == &other) return *this;
  KillAndReap();
  name_ = std::move(other.name_);
  log_ = std::move(other.log_);
  pid_ = std::exchange(other.pid_, -1);
  adopted_ = std::move(other.adopted_);
  ended_ = other.ended_;
  wait_status_ = other.wait_status_;
  return *this;
}

ChildProcess::~ChildProcess() { KillAndReap(); }

void ChildProcess::KillAndReap() {
  if (!Running()) return;
  Signal(SIGKILL);
  if (adopted_.valid()) {
    EndsWithin(adopted_, absl::InfiniteDuration());
    return;
  }
  int status;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
}

bool ChildProcess::Running() {
  if (pid_ < 0 || ended_) return false;
  if (adopted_.valid()) return !(ended_ = EndsWithin(adopted_, absl::ZeroDuration()));
  int status = 0;
  const pid_t reaped = waitpid(pid_, &status, WNOHANG);
  if (reaped == pid_) wait_status_ = status;
  ended_ = reaped == pid_ || (reaped < 0 && errno == ECHILD);  // somebody else has reaped it
  return !ended_;
}

std::optional<int> ChildProcess::exit_code() const {
  if (!wait_status_ || !WIFEXITED(*wait_status_)) return std::nullopt;
  return WEXITSTATUS(*wait_status_);
}

std::string ChildProcess::HowItEnded() const {
  if (!ended_) return "";
  if (!wait_status_) return "ended";
  if (WIFSIGNALED(*wait_status_)) {
    const int signal = WTERMSIG(*wait_status_);
    return absl::StrCat("was ended by signal ", signal, " (", strsignal(signal), ")");
  }
  return absl::StrCat("exited with code ", WEXITSTATUS(*wait_status_));
}

void ChildProcess::Signal(int signal) {
  if (!Running()) return;
  if (adopted_.valid()) {
    pidfd_send_signal(adopted_.get(), signal, nullptr, 0);
  } else {
    kill(pid_, signal);
  }
}

void StopAll(std::vector<ChildProcess>& children, absl::Duration grace) {
  const absl::Time deadline = absl::Now() + grace;
  for (ChildProcess& child : children) child.Signal(SIGTERM);
  for (ChildProcess& child : children) {
    if (!child.Running()) continue;
    EndsWithin(Fd(pidfd_open(child.pid(), 0)), deadline - absl::Now());
  }
  children.clear();  // kills and reaps the rest
}

}  // namespace waferstream
