#include "base/users.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace waferstream {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kHash(64, 'a');

std::string Entry(const std::string& rest) {
  return R"({"users": [{"name": "ada", "role": "viewer", "token_sha256": ")" + kHash + "\"" + rest +
         "}]}";
}

std::string Why(const std::string& text) {
  return std::string(ParseUsers("users.json", text).status().message());
}

TEST(UsersTest, WhatIsWrittenIsRead) {
  const std::vector<User> users = {
      {.name = "ada", .role = UserRole::kAdmin, .token_hash = HashOfToken("a")},
      {.name = "bob",
       .role = UserRole::kSubmitter,
       .token_hash = HashOfToken("b"),
       .wafers = 4,
       .queued = 7}};
  const auto read = ParseUsers("users.json", FormatUsers(users));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ((*read)[0].name, "ada");
  EXPECT_EQ((*read)[0].wafers, 0);
  EXPECT_EQ((*read)[1].role, UserRole::kSubmitter);
  EXPECT_EQ((*read)[1].token_hash, users[1].token_hash);
  EXPECT_EQ((*read)[1].wafers, 4);
  EXPECT_EQ((*read)[1].queued, 7);
  EXPECT_THAT(*ParseUsers("users.json", FormatUsers({})), IsEmpty());
}

// FIPS 180-2's example.
TEST(UsersTest, TheHashIsSha256) {
  EXPECT_EQ(HashOfToken("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_NE(NewToken(), NewToken());
  EXPECT_EQ(NewToken().size(), 68u);
}

TEST(UsersTest, WhatIsWrongIsNamed) {
  for (const auto& [text, what] : std::vector<std::pair<std::string, std::string>>{
           {"", "users.json: "},
           {"[]", "users.json: is not an object with a list of \"users\""},
           {R"({"users": {}})", "users.json: is not an object"},
           {R"({"users": [], "more": 1})", "and nothing else"},
           {R"({"users": [1]})", "users.json: users[0]: is not an object"},
           {R"({"users": [{"role": "viewer"}]})", "users[0].name: is missing"},
           {R"({"users": [{"name": "a/b", "role": "viewer"}]})", "users[0].name: "},
           {R"({"users": [{"name": "ada", "role": "root"}]})",
            "users[0].role: \"root\" must be one of"},
           {R"({"users": [{"name": "ada", "role": "viewer", "token_sha256": "12"}]})",
            "users[0].token_sha256: is not 64 hex digits"},
           {Entry(R"(, "token": "x")"), "users[0].token: is not known"},
           {Entry(R"(, "wafers": -1)"), "users[0].wafers: is not a whole number"},
           {Entry(R"(, "wafers": 1.5)"), "users[0].wafers: is not a whole number"},
           {Entry(R"(, "queued": "7")"), "users[0].queued: is not a whole number"},
           {Entry(R"(, "queued": 1e300)"), "users[0].queued: is not a whole number"}}) {
    EXPECT_THAT(Why(text), HasSubstr(what)) << text;
  }
  EXPECT_EQ(Why(Entry(R"(, "wafers": 8)")), "");
}

TEST(UsersTest, NobodyIsThereTwice) {
  const User ada = {.name = "ada", .token_hash = HashOfToken("a")};
  User other = ada;
  other.token_hash = HashOfToken("b");
  EXPECT_THAT(Why(FormatUsers({ada, other})), HasSubstr("users[1]: ada is there twice"));
  other = ada;
  other.name = "bob";
  EXPECT_THAT(Why(FormatUsers({ada, other})), HasSubstr("users[1]: has another user's token"));
}

class UsersFileTest : public ::testing::Test {
 protected:
  // As who administers it does: another file, in one rename.
  void Write(const std::string& text) {
    std::ofstream(path_ + ".new") << text;
    chmod((path_ + ".new").c_str(), 0644);
    fs::rename(path_ + ".new", path_);
  }

  const std::string path_ = ::testing::TempDir() + "/users.json";
  std::vector<std::string> trouble_;
};

TEST_F(UsersFileTest, AChangeCountsAtOnceAndWhatIsNoGoodDoesNot) {
  Write(FormatUsers({{.name = "ada", .token_hash = HashOfToken("a")}}));
  const auto users =
      *Users::Load(path_, [&](const std::string& line) { trouble_.push_back(line); });
  int changes = 0;
  users->OnChange([&](const std::vector<User>& all) { changes += static_cast<int>(all.size()); });
  EXPECT_EQ(users->Find("a")->name, "ada");
  EXPECT_FALSE(users->Find("b").has_value());
  EXPECT_FALSE(users->Find("").has_value());

  Write(FormatUsers({{.name = "bob", .token_hash = HashOfToken("b")}}));
  users->Look();
  EXPECT_FALSE(users->Find("a").has_value()) << "revoked";
  EXPECT_EQ(users->Find("b")->name, "bob");
  EXPECT_EQ(changes, 1);

  Write("not JSON");
  users->Look();
  users->Look();
  EXPECT_TRUE(users->Find("b").has_value());
  ASSERT_EQ(trouble_.size(), 1u) << "told once";
  EXPECT_THAT(trouble_[0], HasSubstr("the users stay as they were: " + path_));
  EXPECT_EQ(changes, 1);
}

TEST_F(UsersFileTest, OneThatOthersCanChangeIsRefused) {
  Write(FormatUsers({}));
  EXPECT_TRUE(ReadUsers(path_).ok());
  chmod(path_.c_str(), 0664);
  EXPECT_THAT(std::string(ReadUsers(path_).status().message()),
              HasSubstr(path_ + ": others can change it"));
  fs::remove(path_);
  EXPECT_EQ(ReadUsers(path_).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(UsersFileTest, ATokensFileIsItsOwnersAlone) {
  const std::string path = ::testing::TempDir() + "/token";
  const auto write = [&](const std::string& text, mode_t mode) {
    std::ofstream(path) << text;
    chmod(path.c_str(), mode);
  };
  write("wst_abc\n", 0600);
  EXPECT_EQ(*ReadTokenFile(path), "wst_abc");
  write("wst_abc\n", 0644);
  EXPECT_EQ(ReadTokenFile(path).status().code(), absl::StatusCode::kPermissionDenied);
  for (const std::string& bad : {std::string("\n"), std::string("two words"), std::string("a\nb"),
                                 std::string("a\0b", 3), std::string(5000, 'a')}) {
    write(bad, 0600);
    const auto token = ReadTokenFile(path);
    EXPECT_FALSE(token.ok());
    EXPECT_THAT(std::string(token.status().message()), HasSubstr(path + ": hold"));
  }
}

}  // namespace
}  // namespace waferstream
