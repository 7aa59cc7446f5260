#include "base/private_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace waferstream {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class PrivateFileTest : public ::testing::Test {
 protected:
  PrivateFileTest() {
    fs::remove_all(path_);
    fs::remove_all(path_ + ".new");
  }

  mode_t Mode() const {
    struct stat about = {};
    EXPECT_EQ(stat(path_.c_str(), &about), 0);
    return about.st_mode & 07777;
  }

  const std::string path_ = ::testing::TempDir() + "/private";
};

TEST_F(PrivateFileTest, WhatIsReplacedHasItsNewTextAndModeAndNothingIsLeft) {
  ASSERT_EQ(MakeNewFile(path_, "old", kPrivate), absl::OkStatus());
  ASSERT_EQ(ReplaceFile(path_, "new", 0644), absl::OkStatus());
  EXPECT_EQ(*ReadTrustedFile(path_, 100), "new");
  EXPECT_EQ(Mode(), 0644u);
  EXPECT_FALSE(fs::exists(path_ + ".new"));
  EXPECT_EQ(ReadPrivateFile(path_, 100).status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(PrivateFileTest, WhoReplacesItAtTheSameTimeIsTold) {
  ASSERT_EQ(MakeNewFile(path_, "old", kPrivate), absl::OkStatus());
  std::ofstream(path_ + ".new") << "somebody else's";
  const absl::Status status = ReplaceFile(path_, "new", kPrivate);
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_ + ".new"));
  EXPECT_EQ(*ReadPrivateFile(path_, 100), "old");
  EXPECT_TRUE(fs::exists(path_ + ".new"));
}

TEST_F(PrivateFileTest, WhatCannotBeReplacedStaysAndNothingIsLeft) {
  fs::create_directories(path_ + "/full");
  EXPECT_FALSE(ReplaceFile(path_, "new", kPrivate).ok());
  EXPECT_TRUE(fs::exists(path_ + "/full"));
  EXPECT_FALSE(fs::exists(path_ + ".new"));
}

}  // namespace
}  // namespace waferstream
