#include "base/cluster_secret.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

namespace waferstream {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ClusterSecretTest : public ::testing::Test {
 protected:
  ClusterSecretTest() { fs::remove(path_); }

  std::shared_ptr<const ClusterSecret> Make() {
    fs::remove(path_);
    EXPECT_EQ(ClusterSecret::MakeFile(path_), absl::OkStatus());
    const auto secret = ClusterSecret::ReadFile(path_);
    EXPECT_TRUE(secret.ok()) << secret.status();
    return *secret;
  }
  void Write(const std::string& text) {
    std::ofstream(path_, std::ios::binary) << text;
    chmod(path_.c_str(), 0600);
  }
  absl::Status Read() { return ClusterSecret::ReadFile(path_).status(); }

  const std::string path_ = ::testing::TempDir() + "/secret";
};

TEST_F(ClusterSecretTest, OnlyItsOwnerReadsItWhateverTheUmask) {
  for (const mode_t mask : {0, 022, 077, 0777}) {
    const mode_t before = umask(mask);
    Make();
    umask(before);
    struct stat file;
    ASSERT_EQ(stat(path_.c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 07777, 0600u);
    EXPECT_EQ(file.st_size, 65);
  }
}

TEST_F(ClusterSecretTest, WhatIsThereIsNeverReplacedOrFollowed) {
  Make();
  EXPECT_EQ(ClusterSecret::MakeFile(path_).code(), absl::StatusCode::kAlreadyExists);
  fs::remove(path_);
  fs::create_symlink(path_ + ".elsewhere", path_);
  EXPECT_EQ(ClusterSecret::MakeFile(path_).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_FALSE(fs::exists(path_ + ".elsewhere"));
}

TEST_F(ClusterSecretTest, OneThatOthersCanReadOrChangeIsRefused) {
  for (const mode_t mode : {0640, 0604, 0620, 0602, 0610, 0601, 0644, 0666}) {
    Make();
    chmod(path_.c_str(), mode);
    const absl::Status status = Read();
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << std::oct << mode;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path_ + ": others can read"));
  }
  for (const mode_t mode : {0600, 0400}) {
    chmod(path_.c_str(), mode);
    EXPECT_EQ(Read(), absl::OkStatus());
  }
}

TEST_F(ClusterSecretTest, OneOfAnotherUserIsRefused) {
  Make();
  if (chown(path_.c_str(), 65534, 65534) != 0) GTEST_SKIP() << "needs root";
  EXPECT_EQ(Read().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(ClusterSecretTest, WhatIsNoSecretIsRefusedByName) {
  const std::string good(64, 'a');
  Write(good);
  EXPECT_EQ(Read(), absl::OkStatus());
  Write(good + "\n");
  EXPECT_EQ(Read(), absl::OkStatus());
  for (const std::string& bad :
       {std::string(), std::string("\n"), good.substr(1), good + "a", good + "\n\n", good + " ",
        good.substr(1) + "g", std::string(1 << 20, 'a'), std::string(64, '\0')}) {
    Write(bad);
    EXPECT_EQ(Read().code(), absl::StatusCode::kInvalidArgument) << bad.substr(0, 80);
    EXPECT_THAT(std::string(Read().message()), HasSubstr(path_ + ": is not a cluster's secret"));
  }
  fs::remove(path_);
  EXPECT_EQ(Read().code(), absl::StatusCode::kNotFound);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(Read().code(), absl::StatusCode::kInvalidArgument) << "and does not wait";
  fs::remove(path_);
  EXPECT_EQ(ClusterSecret::ReadFile("/").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ClusterSecretTest, AProofHoldsForItsPartsAndItsSecretOnly) {
  const auto secret = Make();
  const std::string proof = secret->Prove({"a", "bc", ""});
  EXPECT_EQ(proof.size(), 64u);
  EXPECT_EQ(ClusterSecret::ReadFile(path_).value()->Prove({"a", "bc", ""}), proof);
  EXPECT_TRUE(secret->Check(proof, {"a", "bc", ""}));
  for (const std::vector<std::string>& other : {std::vector<std::string>{"a", "bc"},
                                                {"ab", "c", ""},
                                                {"", "a", "bc"},
                                                {"bc", "a", ""},
                                                {"1:a2:bc0:"},
                                                {}}) {
    EXPECT_FALSE(secret->Check(proof, other));
  }
  for (const std::string& wrong :
       {std::string(), proof.substr(1), proof + "0", std::string(64, '0')}) {
    EXPECT_FALSE(secret->Check(wrong, {"a", "bc", ""}));
  }
  EXPECT_FALSE(Make()->Check(proof, {"a", "bc", ""})) << "another secret";
}

// Against Python's hmac module.
TEST_F(ClusterSecretTest, ItIsHmacSha256) {
  Write(std::string(62, '0') + "0b");
  const auto secret = ClusterSecret::ReadFile(path_);
  ASSERT_TRUE(secret.ok());
  EXPECT_EQ((*secret)->Prove({"Hi There"}),
            "83aeed15cd10b687ae3fbad9fdc6b8653c71880db785b390edf7b236dc1adba3");
}

TEST(NonceTest, NeverTheSameTwice) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(Nonce());
  EXPECT_EQ(seen.size(), 1000u);
  EXPECT_EQ(Nonce().size(), 32u);
}

}  // namespace
}  // namespace waferstream
