#include "base/own_process.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

struct Ended {
  int code = -1;  // -1: by a signal
  std::string err;
};

// Runs `body` in a process of its own; its answer is the exit code.
Ended InChild(const std::function<int()>& body) {
  int err[2];
  EXPECT_EQ(pipe(err), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(err[1], STDERR_FILENO);
    close(err[0]);
    close(err[1]);
    _exit(body());
  }
  close(err[1]);
  Ended ended;
  char byte;
  while (read(err[0], &byte, 1) == 1) ended.err.push_back(byte);
  close(err[0]);
  int status;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
  return ended;
}

TEST(SettleProcessTest, NothingTakesThePlaceOfAClosedStandardStream) {
  for (int closed = 1; closed < 8; ++closed) {  // every subset
    const Ended ended = InChild([&] {
      for (const int fd : {0, 1, 2}) {
        if (closed & 1 << fd) close(fd);
      }
      SettleProcess();
      return open("/dev/zero", O_RDONLY) > STDERR_FILENO ? 0 : 1;
    });
    EXPECT_EQ(ended.code, 0) << closed;
  }
}

TEST(SettleProcessTest, ABlockedSignalIsHeardAgain) {
  for (const int blocked : {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGALRM}) {
    const Ended ended = InChild([&] {
      sigset_t set;
      sigemptyset(&set);
      sigaddset(&set, blocked);
      sigprocmask(SIG_BLOCK, &set, nullptr);
      SettleProcess();
      sigprocmask(SIG_BLOCK, nullptr, &set);
      return sigismember(&set, blocked);
    });
    EXPECT_EQ(ended.code, 0) << blocked;
  }
}

TEST(SettleProcessTest, AChildCanBeWaitedForWhereItsEndWasIgnored) {
  const Ended ended = InChild([] {
    signal(SIGCHLD, SIG_IGN);
    SettleProcess();
    const pid_t pid = fork();
    if (pid == 0) _exit(7);
    int status = 0;
    return waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7 ? 0 : 1;
  });
  EXPECT_EQ(ended.code, 0);
}

TEST(SettleProcessTest, AReaderThatWentAwayIsAFailedWrite) {
  const Ended ended = InChild([] {
    int fds[2];
    if (pipe(fds) != 0) return 2;
    close(fds[0]);
    SettleProcess();
    return write(fds[1], "x", 1) < 0 ? 0 : 1;
  });
  EXPECT_EQ(ended.code, 0);
}

TEST(SettleProcessTest, OnlyWhatWasIgnoredIsNotHeeded) {
  const Ended ended = InChild([] {
    signal(SIGHUP, SIG_IGN);
    SettleProcess();
    const sigset_t heeded = HeededSignals({SIGHUP, SIGTERM});
    return IgnoredSignal(SIGHUP) && !IgnoredSignal(SIGTERM) && !sigismember(&heeded, SIGHUP) &&
                   sigismember(&heeded, SIGTERM)
               ? 0
               : 1;
  });
  EXPECT_EQ(ended.code, 0);
}

TEST(SettleProcessTest, RaisesTheSoftLimitAndNamesWhatIsNeededBeyondTheHardOne) {
  const Ended ended = InChild([] {
    const rlimit limit = {.rlim_cur = 20, .rlim_max = 40};
    setrlimit(RLIMIT_NOFILE, &limit);
    SettleProcess();
    if (!CheckDescriptors("wafer-0", 40).ok()) return 1;
    const absl::Status refused = CheckDescriptors("wafer-0", 41);
    return refused.message() == "wafer-0: needs 41 open descriptors, and may have 40 (ulimit -n)"
               ? 0
               : 2;
  });
  EXPECT_EQ(ended.code, 0);
}

TEST(SettleProcessTest, VariablesOfLibrariesAreGoneAndAllOthersStay) {
  const Ended ended = InChild([] {
    for (const char* name : {"GRPC_POLL_STRATEGY", "GRPC_EXPERIMENTS", "OMP_NUM_THREADS",
                             "GOMP_CPU_AFFINITY", "DNNL_DEFAULT_FPMATH_MODE", "ONEDNN_VERBOSE",
                             "DNNL_MAX_CPU_ISA", "GRPC_VERBOSITY", "XGRPC_A", "OMP"}) {
      setenv(name, "1", 1);
    }
    SettleProcess();
    for (const char* gone : {"GRPC_POLL_STRATEGY", "GRPC_EXPERIMENTS", "OMP_NUM_THREADS",
                             "GOMP_CPU_AFFINITY", "DNNL_DEFAULT_FPMATH_MODE", "ONEDNN_VERBOSE"}) {
      if (std::getenv(gone) != nullptr) return 1;
    }
    for (const char* kept : {"DNNL_MAX_CPU_ISA", "GRPC_VERBOSITY", "XGRPC_A", "OMP", "PATH"}) {
      if (std::getenv(kept) == nullptr) return 2;
    }
    return 0;
  });
  EXPECT_EQ(ended.code, 0);
}

// A sanitizer's operator new ends the process, and throws nothing.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
void RunOutOfMemory() { throw std::bad_alloc(); }
#else
void RunOutOfMemory() {
  const volatile size_t too_much = std::numeric_limits<ptrdiff_t>::max();
  const std::vector<char> never(too_much);
}
#endif

TEST(SettleProcessTest, OutOfMemoryIsOneLine) {
  const Ended ended = InChild([]() -> int {
    SettleProcess();
    []() noexcept { RunOutOfMemory(); }();
    return 0;
  });
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, testing::StartsWith("out of memory: "));
  EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1);
}

TEST(SettleProcessTest, AnExceptionThatNobodyExpectedIsOneLine) {
  const Ended ended = InChild([] {
    SettleProcess();
    std::thread([] { throw std::runtime_error("what it was"); }).join();
    return 0;
  });
  EXPECT_EQ(ended.code, 1);
  EXPECT_EQ(ended.err, "bug: an exception that nobody expected: what it was\n");
}

TEST(FlushStdoutTest, SaysWhatDidNotGetThrough) {
  for (const bool full : {false, true}) {
    const Ended ended = InChild([&] {
      dup2(open(full ? "/dev/full" : "/dev/null", O_WRONLY), STDOUT_FILENO);
      std::fputs("result", stdout);
      const absl::Status status = FlushStdout();
      return status.ok() ? 0 : status.message() == "stdout: cannot write: No space left on device";
    });
    EXPECT_EQ(ended.code, full ? 1 : 0);
  }
}

}  // namespace
}  // namespace waferstream
