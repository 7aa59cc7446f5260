// waferctl as other programs start it: with signals ignored or blocked, streams closed or full, few
// descriptors, little memory, a strange environment.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/ctl_harness.h"
#include "client/test_wait.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

using nlohmann::json;

const std::vector<std::string> kRun = {"run", "-f", "job.yaml", "-o", "json"};

void Redirect(const char* path, int fd) { dup2(open(path, O_RDWR), fd); }

// Nobody reads what goes there.
void GiveReaderlessPipe(int fd) {
  int fds[2];
  if (pipe(fds) != 0) _exit(126);
  dup2(fds[1], fd);
  close(fds[0]);
  close(fds[1]);
}

void Limit(int resource, rlim_t soft, rlim_t hard) {
  const rlimit limit = {.rlim_cur = soft, .rlim_max = hard};
  setrlimit(static_cast<__rlimit_resource>(resource), &limit);
}

std::string Reference(CtlHarness& harness) {
  return harness.Run(kRun)->json()["weights_hash"].get<std::string>();
}

int Lines(const std::string& text) {
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

class EnvironmentTest : public testing::Test {
 protected:
  EnvironmentTest() : harness_("environment") { harness_.WriteJob(2); }

  // A run that goes on until it is told to end, and has just shown a line of progress.
  std::unique_ptr<CtlCall> StartEndless(const CtlHarness::Before& before) {
    harness_.WriteJob(1000000);
    std::unique_ptr<CtlCall> call =
        harness_.Start({"run", "-f", "job.yaml", "-o", "json", "--set", "checkpoint.every=0",
                        "--set", "training.validate_every=1"},
                       before);
    EXPECT_TRUE(AwaitProgress(*call));
    return call;
  }
  static bool AwaitProgress(const CtlCall& call) {
    const size_t before = call.err().size();
    return WaitFor([&] { return absl::StrContains(call.err().substr(before), "val "); },
                   absl::Minutes(2));
  }

  CtlHarness harness_;
};

TEST_F(EnvironmentTest, WhatWasIgnoredStaysIgnored) {
  const std::vector<std::vector<int>> cases = {
      {SIGHUP},                   // nohup
      {SIGINT, SIGQUIT},          // & in a script
      {SIGHUP, SIGINT, SIGTERM},  // trap '' ...
  };
  for (const std::vector<int>& ignored : cases) {
    std::unique_ptr<CtlCall> call = StartEndless([&] {
      for (const int signal : ignored) ::signal(signal, SIG_IGN);
    });
    for (const int signal : ignored) {
      call->Signal(signal);
      // Its processes are ended by it alone, which sends them SIGTERM.
      if (signal == SIGTERM) continue;
      for (const char* role : {"controller", "memoryx", "swarmx", "wafer_node"}) {
        kill(harness_.ProcessOf(role), signal);
      }
    }
    EXPECT_TRUE(AwaitProgress(*call)) << call->err();
    EXPECT_FALSE(absl::StrContains(call->err(), "starting it again")) << call->err();
    const int heard = ignored.size() == 3 ? SIGKILL : ignored[0] == SIGHUP ? SIGINT : SIGTERM;
    call->Signal(heard);
    EXPECT_EQ(call->Wait(), heard == SIGKILL ? -SIGKILL : 6) << call->err();
    EXPECT_TRUE(WaitFor([&] { return harness_.Processes().empty(); }));
  }
}

TEST_F(EnvironmentTest, ABlockedSignalIsHeard) {
  std::unique_ptr<CtlCall> call = StartEndless([] {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, nullptr);
    signal(SIGCHLD, SIG_IGN);
  });
  call->Signal(SIGTERM);
  EXPECT_EQ(call->Wait(), 6) << call->err();
  EXPECT_TRUE(harness_.Processes().empty());
}

TEST_F(EnvironmentTest, ClosedStreamsDoNotBreakARun) {
  harness_.Run({"run", "-f", "job.yaml", "--run-dir", "closed"}, 0, [] {
    for (const int fd : {0, 1, 2}) close(fd);
  });
  const std::string closed = harness_.Run({"checkpoint", "list", "closed", "-o", "json"})->out();
  EXPECT_TRUE(absl::StrContains(closed, Reference(harness_)));
}

TEST_F(EnvironmentTest, AStderrThatTakesNothingDoesNotBreakARun) {
  const std::string reference = Reference(harness_);
  const auto full = harness_.Run(kRun, 0, [] { Redirect("/dev/full", 2); });
  EXPECT_EQ(full->json()["weights_hash"], reference);
  const auto gone = harness_.Run(kRun, 0, [] { GiveReaderlessPipe(2); });
  EXPECT_EQ(gone->json()["weights_hash"], reference);
}

TEST_F(EnvironmentTest, AResultThatNobodyGetsIsOneLineAndExitCode1) {
  const std::vector<std::vector<std::string>> commands = {
      {"run", "-f", "job.yaml", "-q"}, {"plan", "-f", "job.yaml"}, {"version"}, {"--help"}};
  for (const std::vector<std::string>& command : commands) {
    for (const bool full : {true, false}) {
      const auto call = harness_.Run(
          command, 1, [&] { full ? Redirect("/dev/full", 1) : GiveReaderlessPipe(1); });
      EXPECT_EQ(call->err(), absl::StrCat("waferctl: stdout: cannot write: ",
                                          full ? "No space left on device" : "Broken pipe", "\n"));
    }
  }
}

TEST_F(EnvironmentTest, ASoftLimitOfDescriptorsIsRaised) {
  harness_.Run(kRun, 0, [] { Limit(RLIMIT_NOFILE, 24, 4096); });
}

TEST_F(EnvironmentTest, TooFewDescriptorsAreRefusedAtOnceWithTheNumber) {
  for (const rlim_t few : {16, 24}) {
    const auto call =
        harness_.Run({"run", "-f", "job.yaml", "-q"}, 1, [&] { Limit(RLIMIT_NOFILE, few, few); });
    EXPECT_TRUE(absl::StrContains(call->err(), "open descriptors, and may have")) << call->err();
    EXPECT_EQ(Lines(call->err()), 1) << call->err();
  }
}

TEST_F(EnvironmentTest, TheEnvironmentDoesNotChangeABit) {
  const std::string reference = Reference(harness_);
  const auto strange = harness_.Run(kRun, 0, [] {
    const std::pair<const char*, const char*> variables[] = {
        {"OMP_NUM_THREADS", "64"},
        {"OMP_PROC_BIND", "true"},
        {"GRPC_POLL_STRATEGY", "none"},
        {"DNNL_DEFAULT_FPMATH_MODE", "BF16"},
        {"DNNL_VERBOSE", "2"},
        {"LC_ALL", "de_DE.UTF-8"},
        {"LANG", "tr_TR.UTF-8"},
        {"TZ", "Pacific/Kiritimati"},
        {"http_proxy", "http://127.0.0.1:9"},
        {"all_proxy", "http://127.0.0.1:9"},
        {"TERM", ""},
        {"COLUMNS", "0"},
    };
    for (const auto& [name, value] : variables) setenv(name, value, 1);
    for (int i = 0; i < 5000; ++i) setenv(absl::StrCat("FILLER_", i).c_str(), "some value", 1);
    umask(0077);
  });
  EXPECT_EQ(strange->json()["weights_hash"], reference);
}

// Where the processes of a local cluster listen is waferctl's to say.
TEST_F(EnvironmentTest, FlagsComeFromVariablesAndAFile) {
  std::ofstream(harness_.dir() / "cluster.yaml") << "output: json\nrun-dir: from-file\n"
                                                    "wafers: 9\nlease-ms: 5000\n";
  const auto call = harness_.Run({"run", "-f", "job.yaml", "--config", "cluster.yaml"}, 0, [] {
    setenv("WAFERSTREAM_WAFERS", "1", 1);
    setenv("WAFERSTREAM_LISTEN", "0.0.0.0", 1);
    setenv("WAFERSTREAM_FABRIC_PORT", "1", 1);
    setenv("WAFERSTREAM_ADVERTISE_PORT", "1", 1);
    setenv("WAFERSTREAM_TLS_CERT", "me.crt", 1);
    setenv("WAFERSTREAM_TLS_KEY", "me.key", 1);
    setenv("WAFERSTREAM_TLS_CA", "ca.crt", 1);
    setenv("WAFERSTREAM_QUIET", "true", 1);
  });
  EXPECT_EQ(call->json()["wafers"], 1);
  EXPECT_EQ(call->json()["run_dir"], (harness_.dir() / "from-file").string());
  EXPECT_EQ(call->err(), "");
}

TEST_F(EnvironmentTest, EveryProcessLogsAsItIsAsked) {
  // A warning as well: processes that end together may miss one another.
  const std::set<std::string> kLevels = {"info", "warning"};
  harness_.Run({"run", "-f", "job.yaml", "--run-dir", "run"}, 0,
               [] { setenv("WAFERSTREAM_LOG_FORMAT", "json", 1); });
  for (const char* process : {"controller", "memoryx-0", "swarmx-0", "wafer-0", "wafer-1"}) {
    std::ifstream file(harness_.dir() / "run/logs" / absl::StrCat(process, ".log"));
    int lines = 0;
    for (std::string line; std::getline(file, line); ++lines) {
      const json logged = json::parse(line, nullptr, false);
      ASSERT_TRUE(logged.is_object()) << line;
      EXPECT_EQ(logged["process"], process);
      EXPECT_TRUE(kLevels.contains(logged["level"])) << line;
    }
    EXPECT_GT(lines, 1) << process;
  }
}

TEST_F(EnvironmentTest, ABadVariableIsOneLineThatNamesIt) {
  const struct {
    const char *name, *value, *error;
  } kBad[] = {
      {"WAFERSTREAM_WAFER", "2", "no flag has this variable; did you mean WAFERSTREAM_WAFERS?"},
      {"WAFERSTREAM_WAFERS", "", "is empty"},
      {"WAFERSTREAM_WAFERS", "two", "\"two\" must be a whole number"},
      {"WAFERSTREAM_KERNEL_ISA", "sse9", "sse9: not one of"},
      {"WAFERSTREAM_RUN_DIR", "job.yaml/run", ""},
      {"WAFERSTREAM_CONFIG", "nowhere.yaml", "nowhere.yaml: No such file"},
  };
  for (const auto& bad : kBad) {
    const auto call = harness_.Run(kRun, 2, [&] { setenv(bad.name, bad.value, 1); });
    EXPECT_TRUE(absl::StartsWith(call->err(), "waferctl: ")) << call->err();
    EXPECT_TRUE(absl::StrContains(call->err(), absl::StrCat(bad.name, ": ", bad.error)))
        << call->err();
    EXPECT_EQ(Lines(call->err()), 1) << call->err();
  }
}

TEST_F(EnvironmentTest, NoHomeIsNeededForARun) {
  const auto nowhere = [] {
    for (const char* name : {"HOME", "XDG_STATE_HOME", "TMPDIR", "PATH", "USER"}) unsetenv(name);
  };
  harness_.Run(kRun, 0, nowhere);
}

TEST_F(EnvironmentTest, ABadTemporaryFolderIsNamed) {
  harness_.Run({"checkpoint", "init", "-f", "job.yaml", "--out", "initial"});
  const auto call =
      harness_.Run({"generate", "--checkpoint", "initial", "--prompt", "a", "--tokens", "2"}, 2,
                   [] { setenv("TMPDIR", "/nonexistent", 1); });
  EXPECT_EQ(call->err(), "waferctl: TMPDIR: /nonexistent: No such file or directory\n");
}

// The job fits, whatever its wafers could hold; a limit of memory is not one of addresses.
TEST_F(EnvironmentTest, AWaferReservesWhatThePlanSays) {
  const auto little = [] { Limit(RLIMIT_AS, rlim_t{8} << 30, rlim_t{8} << 30); };
  std::vector<std::string> large = kRun;
  large.insert(large.end(), {"--set", "cluster.wafer.sram=1024GiB"});
  EXPECT_EQ(harness_.Run(large, 0, little)->json()["state"], "DONE");
}

TEST_F(EnvironmentTest, WhatDoesNotFitIntoMemoryIsRefusedWithItsBytes) {
  // Two embeddings of 512 MiB: MemoryX alone needs 16 bytes an element.
  const auto call = harness_.Run({"run", "-f", "job.yaml", "-q", "--set", "model.hidden=2048",
                                  "--set", "model.layers=40", "--set", "cluster.wafer.sram=64GiB"},
                                 1, [] { Limit(RLIMIT_AS, rlim_t{8} << 30, rlim_t{8} << 30); });
  EXPECT_TRUE(absl::StrContains(call->err(), "cannot reserve ")) << call->err();
  EXPECT_TRUE(absl::StrContains(call->err(), " bytes of memory: ")) << call->err();
}

}  // namespace
}  // namespace waferstream
