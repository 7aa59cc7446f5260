// Nothing listens where nobody asked, and who has no secret is refused: real processes.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/ctl_harness.h"
#include "client/test_wait.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/listening.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

std::string Read(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// What everybody on the host can see of a process.
std::string InPublic(pid_t pid) {
  return Read(absl::StrCat("/proc/", pid, "/cmdline")) +
         Read(absl::StrCat("/proc/", pid, "/environ"));
}

// Every process of the harness but waferctl itself.
std::vector<pid_t> Cluster(const CtlHarness& harness) {
  std::vector<pid_t> cluster;
  for (const pid_t pid : harness.Processes()) {
    if (Read(absl::StrCat("/proc/", pid, "/comm")) != "waferctl\n") cluster.push_back(pid);
  }
  return cluster;
}

// All that is promised of a cluster whose secret is in `file`.
void ExpectPrivate(const CtlHarness& harness, const fs::path& file) {
  struct stat about;
  ASSERT_EQ(stat(file.c_str(), &about), 0) << file;
  EXPECT_EQ(about.st_mode & 07777, 0600u);
  const std::string secret(absl::StripSuffix(Read(file), "\n"));
  ASSERT_THAT(secret, SizeIs(64));
  for (const pid_t pid : harness.Processes()) EXPECT_THAT(InPublic(pid), Not(HasSubstr(secret)));
  for (const pid_t pid : Cluster(harness)) {
    EXPECT_THAT(InPublic(pid), HasSubstr(file.string())) << "the path, not what is in it";
    const std::vector<std::string> addresses = ListeningAddresses(pid);
    EXPECT_FALSE(addresses.empty());
    for (const std::string& address : addresses) EXPECT_TRUE(IsLoopbackHex(address)) << address;
  }
}

int CountLines(const std::string& text) {
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

// -- a cluster that stays ------------------------------------------------------------------------

class SecretE2eTest : public testing::Test {
 protected:
  SecretE2eTest() : harness_("secret") {
    harness_.WriteJob(2);
    unsetenv("WAFERSTREAM_SECRET_FILE");
    address_ = std::string(absl::StripSuffix(harness_.Run({"up"})->out(), "\n"));
  }
  ~SecretE2eTest() override {
    BeOwner();
    harness_.Run({"down"});
  }

  // What follows is called by somebody with another home, who has no secret.
  void BeStranger() { setenv("XDG_STATE_HOME", (harness_.dir() / "stranger").c_str(), 1); }
  void BeOwner() { setenv("XDG_STATE_HOME", (harness_.dir() / "home").c_str(), 1); }

  std::string Denied(std::vector<std::string> args) {
    args.insert(args.end(), {"--controller", address_});
    std::string line = harness_.Run(args, 5)->err();
    EXPECT_EQ(CountLines(line), 1) << line;
    EXPECT_THAT(line, HasSubstr("denied")) << line;
    return line;
  }

  CtlHarness harness_;
  const fs::path file_ = harness_.dir() / "home/waferstream/cluster/state/secret";
  std::string address_;
};

TEST_F(SecretE2eTest, ListensOnTheLoopbackAndShowsNoSecret) {
  EXPECT_THAT(Cluster(harness_), SizeIs(5));
  ExpectPrivate(harness_, file_);
}

TEST_F(SecretE2eTest, WhoHasNoSecretIsDeniedWhateverIsAsked) {
  BeStranger();
  for (const std::vector<std::string>& asked : {std::vector<std::string>{"list"},
                                                {"get", "j"},
                                                {"watch", "j"},
                                                {"logs", "j"},
                                                {"logs", "--node", "wafer-0"},
                                                {"cancel", "j"},
                                                {"resume", "j"},
                                                {"nodes"},
                                                {"nodes", "cordon", "wafer-0"},
                                                {"version"},
                                                {"submit", "-f", "job.yaml"},
                                                {"submit", "-f", "job.yaml", "--wait"}}) {
    EXPECT_THAT(Denied(asked), HasSubstr(address_));
  }
  BeOwner();
  EXPECT_EQ(harness_.Run({"list", "-o", "json"})->json().size(), 0u) << "and nothing was done";
}

TEST_F(SecretE2eTest, WhoHasAnotherSecretIsDenied) {
  BeStranger();
  const fs::path other = harness_.dir() / "other";
  std::ofstream(other) << std::string(64, 'a') << "\n";
  fs::permissions(other, fs::perms::owner_read);
  Denied({"list", "--secret-file", other.string()});
  setenv("WAFERSTREAM_SECRET_FILE", other.c_str(), 1);
  Denied({"list"});
  // The flag goes before the variable.
  harness_.Run({"list", "--controller", address_, "--secret-file", file_.string()});
  setenv("WAFERSTREAM_SECRET_FILE", file_.c_str(), 1);
  harness_.Run({"list", "--controller", address_});
  unsetenv("WAFERSTREAM_SECRET_FILE");
}

TEST_F(SecretE2eTest, AFileThatOthersCanReadIsRefused) {
  const fs::path open = harness_.dir() / "open";
  fs::copy_file(file_, open);
  fs::permissions(open, fs::perms::owner_read | fs::perms::group_read);
  const auto refused =
      harness_.Run({"list", "--controller", address_, "--secret-file", open.string()}, 5);
  EXPECT_THAT(refused->err(), HasSubstr("--secret-file: " + open.string() + ": others can read"));
  EXPECT_EQ(CountLines(refused->err()), 1) << refused->err();
}

TEST_F(SecretE2eTest, TheOwnersAddressAloneIsEnough) {
  harness_.Run({"list", "--controller", address_});
}

TEST_F(SecretE2eTest, EveryClusterHasItsOwn) {
  const std::string first = Read(file_);
  harness_.Run({"down"});
  harness_.Run({"up"});
  EXPECT_NE(Read(file_), first);
  harness_.Run({"list"});
}

// -- clusters of one command ---------------------------------------------------------------------

TEST(SecretRunTest, ARunIsPrivate) {
  CtlHarness harness("secret_run");
  harness.WriteJob(1000000);
  auto run = harness.Start({"run", "-f", "job.yaml", "--run-dir", "run"});
  ASSERT_TRUE(WaitFor([&] { return absl::StrContains(run->err(), "val "); }, absl::Minutes(2)))
      << run->err();
  EXPECT_THAT(Cluster(harness), SizeIs(5));
  ExpectPrivate(harness, harness.dir() / "run/state/secret");
  // Nobody else takes part, by name or by port.
  const std::string address(
      absl::StripSuffix(Read(harness.dir() / "run/state/controller.port"), "\n"));
  const auto denied = harness.Run({"list", "--controller", address}, 5);
  EXPECT_EQ(CountLines(denied->err()), 1) << denied->err();
  harness.Run({"list", "--controller", address, "--secret-file", "run/state/secret"});
  run->Signal(SIGINT);
  EXPECT_EQ(run->Wait(), 6) << run->err();
}

TEST(SecretRunTest, GenerateMakesOneForItself) {
  CtlHarness harness("secret_generate");
  harness.WriteJob(2);
  harness.Run({"checkpoint", "init", "-f", "job.yaml", "--out", "initial"});
  harness.Run({"generate", "--checkpoint", "initial", "--prompt", "a", "--tokens", "2"});
}

}  // namespace
}  // namespace waferstream
