#include "controller/audit_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class AuditLogTest : public ::testing::Test {
 protected:
  AuditLogTest() { fs::remove_all(path_); }

  std::vector<nlohmann::json> Lines() const {
    std::vector<nlohmann::json> lines;
    std::ifstream file(path_);
    for (std::string line; std::getline(file, line);) lines.push_back(*ParseJson(line));
    return lines;
  }

  const std::string path_ = ::testing::TempDir() + "/audit.jsonl";
  AuditLog log_{path_};
};

const AuditEntry kEntry = {.call = "c1",
                           .method = "Cancel",
                           .user = "ada",
                           .peer = "ipv4:127.0.0.1:1",
                           .target = "job-1",
                           .detail = ""};

TEST_F(AuditLogTest, ARequestIsThereBeforeAndAfter) {
  ASSERT_TRUE(log_.Asked(kEntry).ok());
  ASSERT_TRUE(log_.Answered(kEntry, absl::NotFoundError("no such job"), "job-1-x").ok());
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["stage"], "asked");
  EXPECT_EQ(lines[0]["user"], "ada");
  EXPECT_EQ(lines[0]["method"], "Cancel");
  EXPECT_EQ(lines[0]["target"], "job-1");
  EXPECT_EQ(lines[0]["peer"], "ipv4:127.0.0.1:1");
  EXPECT_FALSE(lines[0].contains("code"));
  EXPECT_EQ(lines[1]["stage"], "answered");
  EXPECT_EQ(lines[1]["call"], "c1");
  EXPECT_EQ(lines[1]["target"], "job-1-x");
  EXPECT_EQ(lines[1]["code"], "NOT_FOUND");
  EXPECT_EQ(lines[1]["message"], "no such job");
}

TEST_F(AuditLogTest, WhateverAUserSaysIsOneLine) {
  AuditEntry entry = kEntry;
  entry.target = "a\nb\"\xff";
  ASSERT_TRUE(log_.Asked(entry).ok());
  ASSERT_EQ(Lines().size(), 1u);
  EXPECT_EQ(Lines()[0]["target"], "a\nb\"\xef\xbf\xbd");
}

TEST_F(AuditLogTest, ItMayBeMovedAwayAndIsItsOwnersAlone) {
  ASSERT_TRUE(log_.Asked(kEntry).ok());
  fs::rename(path_, path_ + ".1");
  ASSERT_TRUE(log_.Asked(kEntry).ok());
  EXPECT_EQ(Lines().size(), 1u);
  struct stat about;
  ASSERT_EQ(stat(path_.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777, 0600u);
}

TEST_F(AuditLogTest, OneThatCannotBeWrittenSaysSo) {
  fs::create_directory(path_);
  const absl::Status status = log_.Asked(kEntry);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("the audit log " + path_));
}

TEST_F(AuditLogTest, LinesOfManyThreadsStayWhole) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] {
      for (int n = 0; n < 50; ++n) ASSERT_TRUE(log_.Asked(kEntry).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Lines().size(), 200u);
}

}  // namespace
}  // namespace waferstream
