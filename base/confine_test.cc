// What a confined process can still do. Each test confines a child: nothing undoes it.
#include "base/confine.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

namespace waferstream {
namespace {

namespace fs = std::filesystem;

bool Reads(const std::string& path) { return std::ifstream(path).get() != EOF; }
bool Writes(const std::string& path) { return (std::ofstream(path) << "x").flush().good(); }

enum Answer { kYes, kNo, kFailed };

// What `ask` says in a child that may write in `writable` alone.
Answer Confined(const std::string& writable, const std::function<bool()>& ask) {
  const pid_t child = fork();
  if (child == 0) {
    ConfineTerms terms = SystemFiles();
    terms.writable.push_back(writable);
    const absl::StatusOr<bool> confined = ConfineFiles(terms);
    if (!confined.ok() || !*confined) _exit(kFailed);
    _exit(ask() ? kYes : kNo);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? static_cast<Answer>(WEXITSTATUS(status)) : kFailed;
}

class ConfineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(dir_);
    fs::create_directories(In("/sub"));
    fs::create_directories(Out(""));
    ASSERT_TRUE(Writes(Out("/file")));
    ASSERT_TRUE(Writes(In("/file")));
    if (!CanConfine()) GTEST_SKIP() << "this kernel has no Landlock";
  }
  std::string In(const std::string& path) const { return dir_ + "/in" + path; }
  std::string Out(const std::string& path) const { return dir_ + "/out" + path; }

  const std::string dir_ = ::testing::TempDir() + "/confine";
};

TEST_F(ConfineTest, InsideEverythingGoesOn) {
  EXPECT_EQ(Confined(In(""),
                     [&] {
                       std::error_code error;
                       bool good = Writes(In("/new")) && Reads(In("/file"));
                       good = good && fs::create_directory(In("/made"), error);
                       fs::rename(In("/new"), In("/made/new"), error);
                       good = good && !error && fs::remove_all(In("/made"), error) == 2;
                       return good && Reads("/proc/self/status") && Writes("/dev/null");
                     }),
            kYes);
}

TEST_F(ConfineTest, OutsideNothingIsOpened) {
  EXPECT_EQ(Confined(In(""), [&] { return Reads(Out("/file")) || Reads("/etc/shadow"); }), kNo);
  EXPECT_EQ(Confined(In(""), [&] { return Writes(Out("/new")) || Writes("/usr/new"); }), kNo);
  EXPECT_EQ(Confined(In(""),
                     [&] {
                       std::error_code error;
                       fs::remove(Out("/file"), error);
                       return !error;
                     }),
            kNo);
  EXPECT_TRUE(fs::exists(Out("/file")));
}

// The reason for it: a link may change after somebody looked where it leads.
TEST_F(ConfineTest, ALinkLeadsNowhereElse) {
  fs::create_symlink(Out("/file"), In("/link"));
  fs::create_directory_symlink(Out(""), In("/folder"));
  EXPECT_EQ(Confined(In(""), [&] { return Reads(In("/link")) || Reads(In("/folder/file")); }), kNo);
  EXPECT_EQ(Confined(In(""), [&] { return Writes(In("/folder/new")); }), kNo);
  EXPECT_EQ(Confined(In(""), [&] { return Reads(In("/sub/../../out/file")); }), kNo);
}

}  // namespace
}  // namespace waferstream
