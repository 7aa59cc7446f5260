#include "base/regular_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;

class RegularFileTest : public testing::Test {
 protected:
  RegularFileTest() {
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  std::string At(const std::string& name) const { return dir_ / name; }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(At(name), std::ios::binary) << text;
  }
  // Both ways to read refuse it alike, at once, in a line that begins with the path.
  void ExpectRefused(const std::string& path, StatusCode code, const std::string& why) const {
    for (const absl::Status& status :
         {OpenRegularFile(path).status(), ReadRegularFile(path, 100).status()}) {
      EXPECT_EQ(status.code(), code) << status;
      EXPECT_TRUE(absl::StrContains(status.message(), why)) << status;
      EXPECT_TRUE(absl::StrContains(status.message(), path)) << status;
    }
  }
  const fs::path dir_ = fs::path(testing::TempDir()) / "regular_file";
};

TEST_F(RegularFileTest, ReadsWhatIsThere) {
  for (const size_t size : {0, 1, 16383, 16384, 16385, 100000}) {
    const std::string text(size, 'x');
    Write("file", text);
    EXPECT_EQ(ReadRegularFile(At("file"), size).value(), text);
    EXPECT_EQ(ReadRegularFile(At("file"), size + 1).value(), text);
  }
  fs::create_symlink("file", At("link"));
  EXPECT_EQ(ReadRegularFile(At("link"), 100000)->size(), 100000u);
  // A file that says it is empty and is not.
  EXPECT_GT(ReadRegularFile("/proc/self/status", 100000)->size(), 0u);
}

TEST_F(RegularFileTest, RefusesWhatIsTooLarge) {
  Write("file", std::string(101, 'x'));
  EXPECT_EQ(ReadRegularFile(At("file"), 100).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(ReadRegularFile(At("file"), 0).status().code(), StatusCode::kResourceExhausted);
}

TEST_F(RegularFileTest, RefusesWhatIsNoFile) {
  ASSERT_EQ(mkfifo(At("fifo").c_str(), 0600), 0);
  ExpectRefused(At("fifo"), StatusCode::kInvalidArgument, "is a FIFO");
  fs::create_symlink("fifo", At("link_to_fifo"));
  ExpectRefused(At("link_to_fifo"), StatusCode::kInvalidArgument, "is a FIFO");
  ExpectRefused(dir_, StatusCode::kInvalidArgument, "is a folder");
  for (const char* device : {"/dev/zero", "/dev/null", "/dev/tty"}) {
    ExpectRefused(device, StatusCode::kInvalidArgument, "is a device");
  }
}

TEST_F(RegularFileTest, RefusesASocket) {
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
  const fs::path before = fs::current_path();
  fs::current_path(dir_);  // the path of a socket is short
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  fs::current_path(before);
  ExpectRefused(At("socket"), StatusCode::kInvalidArgument, "is a socket");
}

TEST_F(RegularFileTest, RefusesWhatIsNotThere) {
  Write("file", "x");
  fs::create_symlink("nowhere", At("dangling"));
  fs::create_symlink("loop", At("loop"));
  ExpectRefused(At("nowhere"), StatusCode::kNotFound, "No such file");
  ExpectRefused(At("dangling"), StatusCode::kNotFound, "No such file");
  ExpectRefused(At("file/below"), StatusCode::kNotFound, "Not a directory");
  EXPECT_FALSE(OpenRegularFile(At("loop")).ok());
  EXPECT_FALSE(OpenRegularFile(std::string(5000, 'x')).ok());
}

TEST_F(RegularFileTest, NobodyWaitsForTheReaderOfALog) {
  Write("log", "x");
  for (const std::string& good :
       {At("log"), At("new"), At("new/folder/log"), std::string("/dev/null")}) {
    EXPECT_TRUE(CheckAppendable(good).ok()) << good;
  }
  EXPECT_FALSE(fs::exists(At("new")));
  ASSERT_EQ(mkfifo(At("fifo").c_str(), 0600), 0);
  EXPECT_FALSE(CheckAppendable(At("fifo")).ok());
  const Fd reader(open(At("fifo").c_str(), O_RDONLY | O_NONBLOCK));
  EXPECT_TRUE(CheckAppendable(At("fifo")).ok());
  EXPECT_FALSE(CheckAppendable(dir_).ok());
}

TEST_F(RegularFileTest, RefusesWhatIsNoPath) {
  Write("file", "x");
  ExpectRefused("", StatusCode::kInvalidArgument, "is not a path");
  ExpectRefused(At("file") + std::string("\0.bin", 5), StatusCode::kInvalidArgument,
                "is not a path");
}

}  // namespace
}  // namespace waferstream
