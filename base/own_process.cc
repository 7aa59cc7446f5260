#include "base/own_process.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iostream>
#include <iterator>
#include <new>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"

namespace waferstream {
namespace {

// More than the largest cluster needs; not all that some systems allow, which is a billion.
constexpr rlim_t kDescriptorsMax = 1 << 16;

void OpenStandardStreams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    // The lowest free number is this one, because those below it are open.
    if (open("/dev/null", O_RDWR) < 0) _exit(1);
  }
}

void SettleSignals() {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGCHLD, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

void RaiseDescriptorLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = std::min(limit.rlim_max, kDescriptorsMax);
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = wanted;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Of the libraries below us. Some change results (DNNL_DEFAULT_FPMATH_MODE), some bind every thread
// to one core (OMP_PROC_BIND), some hang (GRPC_POLL_STRATEGY=none).
constexpr std::string_view kForeignPrefixes[] = {"GRPC_", "OMP_", "GOMP_", "DNNL_", "ONEDNN_"};
// The documented one, and those that only make a library talk.
constexpr std::string_view kKept[] = {"DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA", "GRPC_VERBOSITY",
                                      "GRPC_TRACE"};

bool MustNotMatter(std::string_view name) {
  if (std::find(std::begin(kKept), std::end(kKept), name) != std::end(kKept)) return false;
  return std::any_of(std::begin(kForeignPrefixes), std::end(kForeignPrefixes),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

void CleanEnvironment() {
  std::vector<std::string> names;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const std::string_view name = text.substr(0, text.find('='));
    if (MustNotMatter(name)) names.emplace_back(name);
  }
  for (const std::string& name : names) unsetenv(name.c_str());
}

// write(2), because whatever allocates would fail again.
void Say(const char* line) {
  [[maybe_unused]] const ssize_t ignored = write(STDERR_FILENO, line, std::strlen(line));
}

std::terminate_handler default_terminate = nullptr;

// On any thread: an allocation that nobody could refuse by a status, or what a library threw and
// nobody thought of. Anything else is a bug, and keeps its core.
[[noreturn]] void OnTerminate() {
  try {
    if (const std::exception_ptr error = std::current_exception()) std::rethrow_exception(error);
  } catch (const std::bad_alloc&) {
    Say("out of memory: the system refuses more (see ulimit -v, and the memory of this host)\n");
    _exit(1);
  } catch (const std::exception& error) {
    Say("bug: an exception that nobody expected: ");
    Say(error.what());
    Say("\n");
    _exit(1);
  } catch (...) {
  }
  default_terminate();
  std::abort();
}

}  // namespace

void SettleProcess() {
  OpenStandardStreams();
  SettleSignals();
  RaiseDescriptorLimit();
  CleanEnvironment();
  default_terminate = std::set_terminate(OnTerminate);
}

bool IgnoredSignal(int signal) {
  struct sigaction now = {};
  return sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

sigset_t HeededSignals(std::initializer_list<int> signals) {
  sigset_t heeded;
  sigemptyset(&heeded);
  for (const int signal : signals) {
    if (!IgnoredSignal(signal)) sigaddset(&heeded, signal);
  }
  return heeded;
}

absl::Status CheckDescriptors(const std::string& who, size_t needed) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      who, ": needs ", needed, " open descriptors, and may have ", limit.rlim_cur, " (ulimit -n)"));
}

absl::Status FlushStdout() {
  std::cout.flush();
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout.good()) {
    return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat("stdout: cannot write: ", std::strerror(errno)));
}

}  // namespace waferstream
