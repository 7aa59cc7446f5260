#include "client/child_process.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "client/process_identity.h"
#include "client/test_wait.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

std::string LogPath() { return testing::TempDir() + "/child.log"; }

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

ProcessSpec Shell(const std::string& script) {
  return {.name = "child", .argv = {"/bin/sh", "-c", script}, .log = LogPath()};
}

TEST(ChildProcessTest, OutputGoesToTheLogAndTheEndIsSeen) {
  unlink(LogPath().c_str());
  absl::StatusOr<ChildProcess> child = ChildProcess::Start(Shell("echo out; echo err >&2; exit 3"));
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_TRUE(WaitFor([&] { return !child->Running(); }));
  EXPECT_EQ(child->HowItEnded(), "exited with code 3");
  EXPECT_EQ(ReadAll(LogPath()), "out\nerr\n");
}

TEST(ChildProcessTest, ABinaryThatIsNotThereIsAnError) {
  ProcessSpec spec = Shell("");
  spec.argv = {"/nonexistent/role"};
  const absl::Status status = ChildProcess::Start(spec).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(status.message(), testing::HasSubstr("/nonexistent/role"));
}

TEST(ChildProcessTest, ALogThatCannotBeWrittenIsAnError) {
  ProcessSpec spec = Shell("true");
  spec.log = "/nonexistent/role.log";
  EXPECT_THAT(ChildProcess::Start(spec).status().message(),
              testing::HasSubstr("/nonexistent/role.log"));
}

TEST(ChildProcessTest, IsInAGroupOfItsOwn) {
  absl::StatusOr<ChildProcess> child = ChildProcess::Start(Shell("exec sleep 1000"));
  ASSERT_TRUE(child.ok());
  EXPECT_EQ(getpgid(child->pid()), child->pid());
  EXPECT_NE(getsid(child->pid()), child->pid());
}

TEST(ChildProcessTest, DestructorLeavesNothing) {
  ProcessIdentity process;
  {
    absl::StatusOr<ChildProcess> child = ChildProcess::Start(Shell("exec sleep 1000"));
    ASSERT_TRUE(child.ok());
    process = *IdentityOf(child->pid());
    EXPECT_TRUE(IsRunning(process));
  }
  EXPECT_FALSE(IsRunning(process));
}

TEST(ChildProcessTest, StopAllAsksFirstAndKillsWhoDoesNotListen) {
  unlink(LogPath().c_str());
  const std::string ready = testing::TempDir() + "/ready";
  unlink(ready.c_str());
  std::vector<ChildProcess> children;
  children.push_back(*ChildProcess::Start(Shell("trap 'echo asked; exit 0' TERM; touch " + ready +
                                                ".1; while :; do sleep 0.01; done")));
  children.push_back(*ChildProcess::Start(
      Shell("trap '' TERM; touch " + ready + ".2; while :; do sleep 0.01; done")));
  ASSERT_TRUE(WaitFor([&] {
    return access((ready + ".1").c_str(), F_OK) == 0 && access((ready + ".2").c_str(), F_OK) == 0;
  }));
  std::vector<ProcessIdentity> processes;
  for (ChildProcess& child : children) processes.push_back(*IdentityOf(child.pid()));
  StopAll(children, absl::Milliseconds(500));
  for (const ProcessIdentity& process : processes) EXPECT_FALSE(IsRunning(process));
  EXPECT_EQ(ReadAll(LogPath()), "asked\n");
}

// Runs `body` in a process of its own, which then ends at once without cleaning up, as by SIGKILL.
void InProcessThatDies(const std::function<void()>& body) {
  const pid_t pid = fork();
  if (pid == 0) {
    body();
    kill(getpid(), SIGKILL);
  }
  int status;
  waitpid(pid, &status, 0);
}

TEST(ChildProcessTest, DiesWithItsParentUnlessItStays) {
  for (const bool stays : {false, true}) {
    int pipe_fds[2];
    ASSERT_EQ(pipe(pipe_fds), 0);
    InProcessThatDies([&] {
      ProcessSpec spec = Shell("exec sleep 1000");
      spec.stays = stays;
      absl::StatusOr<ChildProcess> child = ChildProcess::Start(spec);
      const ProcessIdentity process = *IdentityOf(child->pid());
      EXPECT_EQ(write(pipe_fds[1], &process, sizeof process), ssize_t{sizeof process});
      child->Release();
    });
    ProcessIdentity process;
    ASSERT_EQ(read(pipe_fds[0], &process, sizeof process), ssize_t{sizeof process});
    if (stays) {
      EXPECT_TRUE(IsRunning(process));
      EXPECT_EQ(getsid(process.pid), process.pid);
      EXPECT_TRUE(EndProcess(process, absl::Seconds(5)).ok());
    }
    EXPECT_TRUE(WaitFor([&] { return !IsRunning(process); }));
    close(pipe_fds[0]);
    close(pipe_fds[1]);
  }
}

// The child of a process that is gone.
ProcessIdentity Orphan() {
  int pipe_fds[2];
  EXPECT_EQ(pipe(pipe_fds), 0);
  InProcessThatDies([&] {
    ProcessSpec spec = Shell("exec sleep 1000");
    spec.stays = true;
    absl::StatusOr<ChildProcess> child = ChildProcess::Start(spec);
    const ProcessIdentity process = *IdentityOf(child->pid());
    EXPECT_EQ(write(pipe_fds[1], &process, sizeof process), ssize_t{sizeof process});
    child->Release();
  });
  ProcessIdentity process;
  EXPECT_EQ(read(pipe_fds[0], &process, sizeof process), ssize_t{sizeof process});
  close(pipe_fds[0]);
  close(pipe_fds[1]);
  return process;
}

TEST(ChildProcessTest, AnAdoptedProcessIsLikeAChild) {
  const ProcessIdentity process = Orphan();
  ChildProcess adopted = ChildProcess::Adopt(Shell(""), process);
  EXPECT_TRUE(adopted.Running());
  EXPECT_EQ(adopted.HowItEnded(), "");
  adopted.Signal(SIGTERM);
  EXPECT_TRUE(WaitFor([&] { return !adopted.Running(); }));
  EXPECT_EQ(adopted.HowItEnded(), "ended");
  EXPECT_EQ(adopted.exit_code(), std::nullopt);
  EXPECT_FALSE(ChildProcess::Adopt(Shell(""), process).Running());
}

TEST(ChildProcessTest, AnAdoptedProcessEndsWithItsObject) {
  const ProcessIdentity process = Orphan();
  { const ChildProcess adopted = ChildProcess::Adopt(Shell(""), process); }
  EXPECT_FALSE(IsRunning(process));
}

// What the signals of the shell's child do: prints those of `signals` that it ignores.
std::string IgnoredInChild(bool stays) {
  unlink(LogPath().c_str());
  ProcessSpec spec = Shell("sed -n 's/SigIgn:.//p' /proc/self/status");
  spec.stays = stays;
  absl::StatusOr<ChildProcess> child = ChildProcess::Start(spec);
  EXPECT_TRUE(WaitFor([&] { return !child->Running(); }));
  return ReadAll(LogPath());
}

bool Ignores(const std::string& mask, int signal) {
  return std::stoull(mask, nullptr, 16) >> (signal - 1) & 1;
}

TEST(ChildProcessTest, IgnoresWhatItsParentWasToldToIgnoreExceptItsEnd) {
  const std::string plain = IgnoredInChild(false);
  EXPECT_FALSE(Ignores(plain, SIGHUP));
  EXPECT_TRUE(Ignores(IgnoredInChild(true), SIGHUP)) << "it outlives the terminal";
  for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGPIPE}) ::signal(signal, SIG_IGN);
  const std::string nohup = IgnoredInChild(false);
  for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGPIPE}) ::signal(signal, SIG_DFL);
  EXPECT_TRUE(Ignores(nohup, SIGHUP));
  EXPECT_TRUE(Ignores(nohup, SIGINT));
  EXPECT_FALSE(Ignores(nohup, SIGTERM));
  EXPECT_FALSE(Ignores(nohup, SIGPIPE));
}

TEST(ChildProcessTest, InheritsTheOneDescriptorAndNoOther) {
  unlink(LogPath().c_str());
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);  // both without close-on-exec
  auto report = [](const char* name, int fd) {
    return absl::StrCat("[ -e /proc/$$/fd/", fd, " ] && echo has ", name, ";");
  };
  ProcessSpec spec = Shell(report("read", pipe_fds[0]) + report("write", pipe_fds[1]));
  spec.inherited_fd = pipe_fds[1];
  absl::StatusOr<ChildProcess> child = ChildProcess::Start(spec);
  ASSERT_TRUE(child.ok());
  ASSERT_TRUE(WaitFor([&] { return !child->Running(); }));
  EXPECT_EQ(ReadAll(LogPath()), "has write\n");
  close(pipe_fds[0]);
  close(pipe_fds[1]);
}

TEST(ProcessIdentityTest, AnotherStartTimeIsAnotherProcess) {
  ProcessIdentity self = *IdentityOf(getpid());
  EXPECT_TRUE(IsRunning(self));
  ++self.start_ticks;
  EXPECT_FALSE(IsRunning(self));
  // Ending it must not end us.
  EXPECT_TRUE(EndProcess(self, absl::Seconds(1)).ok());
}

}  // namespace
}  // namespace waferstream
