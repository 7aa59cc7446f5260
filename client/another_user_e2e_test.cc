// Another user of the host is refused: real processes, and really somebody else. Needs root, and a
// user namespace that has other users: Bazel's sandbox has none, so this runs outside of it.
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/strip.h"
#include "client/ctl_harness.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr uid_t kNobody = 65534;
constexpr int kNoOtherUser = 101;

// A folder that everybody can enter, unlike the test's own; gone at the end.
class PublicFolder {
 public:
  PublicFolder() {
    std::string path = "/tmp/waferstream-another-user-XXXXXX";
    EXPECT_NE(mkdtemp(path.data()), nullptr);
    EXPECT_EQ(chmod(path.c_str(), 0755), 0);
    path_ = path;
  }
  ~PublicFolder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }
  // A file of root's in it, of the other user's group.
  std::string WriteForGroup(const std::string& name, const std::string& text, mode_t mode) const {
    const std::string file = path_ / name;
    std::ofstream(file) << text;
    EXPECT_EQ(chown(file.c_str(), 0, kNobody), 0);
    EXPECT_EQ(chmod(file.c_str(), mode), 0);
    return file;
  }

 private:
  fs::path path_;
};

struct Ending {
  int exit_code;
  std::string err;
};

// Runs a program as somebody else.
Ending RunAsNobody(std::vector<std::string> args, const fs::path& err) {
  const pid_t pid = fork();
  if (pid == 0) {
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    if (std::freopen(err.c_str(), "w", stderr) == nullptr) _exit(100);
    if (setgid(kNobody) != 0 || setuid(kNobody) != 0) _exit(kNoOtherUser);
    execv(argv[0], argv.data());
    _exit(102);
  }
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  std::stringstream text;
  text << std::ifstream(err).rdbuf();
  return {WEXITSTATUS(status), text.str()};
}

TEST(AnotherUserE2eTest, IsDenied) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  CtlHarness harness("another_user");
  const PublicFolder folder;
  const fs::path program = folder.path() / "waferctl";
  fs::copy_file(harness.program(), program);
  const std::string dir = (folder.path() / "cluster").string();
  const std::string address(
      absl::StripSuffix(harness.Run({"up", "--wafers", "1", "--dir", dir})->out(), "\n"));
  const fs::path secret = fs::path(dir) / "state/secret";
  EXPECT_TRUE(fs::exists(secret));

  const auto as_nobody = [&](const std::vector<std::string>& more) {
    std::vector<std::string> args = {program.string(), "list", "--controller", address};
    args.insert(args.end(), more.begin(), more.end());
    return RunAsNobody(args, harness.dir() / "nobody.err");
  };
  const Ending without = as_nobody({});
  const Ending with_the_file = as_nobody({"--secret-file", secret.string()});
  harness.Run({"down", "--dir", dir});
  if (without.exit_code == kNoOtherUser) GTEST_SKIP() << "this user namespace has no other user";
  EXPECT_EQ(without.exit_code, 5) << without.err;
  EXPECT_THAT(without.err, MatchesRegex("waferctl: [^\n]*denied[^\n]*\n"));
  EXPECT_EQ(with_the_file.exit_code, 5) << with_the_file.err;
  EXPECT_THAT(with_the_file.err, MatchesRegex("waferctl: --secret-file: [^\n]*\n"));
  EXPECT_THAT(with_the_file.err, HasSubstr(secret.string()));
}

// As Kubernetes hands a secret to a pod: root's, and of the pod's group.
TEST(AnotherUserE2eTest, TakesASecretOfRootsThatItsGroupMayRead) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  CtlHarness harness("another_user");
  const PublicFolder folder;
  const fs::path program = folder.path() / "waferctl";
  fs::copy_file(harness.program(), program);
  const auto with_token = [&](const std::string& file) {
    return RunAsNobody(
        {program.string(), "list", "--controller", "127.0.0.1:1", "--token-file", file},
        harness.dir() / "nobody.err");
  };
  const std::string token = "wst_" + std::string(64, 'a') + "\n";
  const Ending taken = with_token(folder.WriteForGroup("token", token, 0440));
  if (taken.exit_code == kNoOtherUser) GTEST_SKIP() << "this user namespace has no other user";
  EXPECT_EQ(taken.exit_code, 4) << taken.err;  // nobody listens there
  for (const mode_t mode : {0444, 0460, 0450, 0441}) {
    const Ending refused = with_token(folder.WriteForGroup("open", token, mode));
    EXPECT_EQ(refused.exit_code, 5) << std::oct << mode << refused.err;
    EXPECT_THAT(refused.err, HasSubstr("others can read or change it")) << std::oct << mode;
  }
}

}  // namespace
}  // namespace waferstream
