#include "base/user_input.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace waferstream {
namespace {

using absl::string_view;

// Every refusal is one line that begins with the field.
void ExpectRefused(const absl::Status& status, string_view text, string_view why = "") {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
  EXPECT_TRUE(absl::StartsWith(status.message(), "field: ")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), why)) << status;
  EXPECT_FALSE(absl::StrContains(status.message(), "\n")) << status;
}

TEST(UserInputTest, WholeNumbersAreDecimalDigits) {
  const auto whole = [](string_view text) { return ParseWhole("field", text, {}); };
  EXPECT_EQ(*whole("0"), 0u);
  EXPECT_EQ(*whole("42"), 42u);
  EXPECT_EQ(*whole("18446744073709551615"), UINT64_MAX);
  for (const char* bad : {"",
                          " ",
                          "1 ",
                          " 1",
                          "+1",
                          "-0",
                          "0x10",
                          "010",
                          "00",
                          "1_000",
                          "1,000",
                          "1e3",
                          "1.0",
                          "1.",
                          "one",
                          "true",
                          "nan",
                          "inf",
                          "1\n",
                          "\xEF\xBC\x91",
                          "18446744073709551616",
                          "1K",
                          "99999999999999999999999999999999",
                          "-99999999999999999999",
                          "--1",
                          "1-"}) {
    ExpectRefused(whole(bad).status(), bad, "must be a whole number");
  }
  ExpectRefused(whole("-1").status(), "-1", "-1 must be at least 0");
  ExpectRefused(whole(string_view("1\0", 2)).status(), "1 and a zero");
}

TEST(UserInputTest, WholeNumbersHaveBoundsAndUnits) {
  const Unit units[] = {{"K", 1024}, {"G", 1 << 30}};
  const auto whole = [&](string_view text) {
    return ParseWhole("field", text, {.low = 2, .high = 0x1p40}, units);
  };
  EXPECT_EQ(*whole("3K"), 3072u);
  EXPECT_EQ(*whole("2"), 2u);
  EXPECT_EQ(*whole("1024G"), uint64_t{1} << 40);
  ExpectRefused(whole("1").status(), "1", "1 must be at least 2");
  ExpectRefused(whole("1025G").status(), "1025G", "must be at most");
  ExpectRefused(whole("17179869185G").status(), "overflow");  // 2^34 + 1
  for (const char* bad : {"K", "1k", "1KK", "1 K", "1.5K", "1T"}) {
    ExpectRefused(whole(bad).status(), bad, "must be a whole number");
  }
}

TEST(UserInputTest, RealNumbersAreFinite) {
  const auto real = [](string_view text) { return ParseReal("field", text, {.low = -10}); };
  EXPECT_EQ(*real("0.25"), 0.25);
  EXPECT_EQ(*real("1e-3"), 1e-3);
  EXPECT_EQ(*real("-1"), -1.0);
  EXPECT_EQ(*real("0e-999"), 0.0);
  for (const char* bad : {"",      " ",      "nan",   "-nan", "inf",   "infinity",     ".inf",
                          "1e400", "1e-400", "0x1p3", "1_0",  "1,5",   "1.5x",         "1e",
                          "e5",    "1 ",     " 1",    "--1",  "0.5.5", "\xEF\xBC\x91", "1\n"}) {
    ExpectRefused(real(bad).status(), bad, "must be a number");
  }
  ExpectRefused(real("-10.5").status(), "-10.5", "must be at least -10");
  ExpectRefused(CheckBounds("field", std::nan(""), {}), "nan");
  ExpectRefused(CheckBounds("field", 1, {.high = 1, .open_high = true}), "1", "must be below 1");
  ExpectRefused(CheckBounds("field", 0, {.open_low = true}), "0", "must be greater than 0");
}

TEST(UserInputTest, WordsAreOneOfTheKnown) {
  EXPECT_EQ(*ParseWord("field", "b", "a|b|c"), 1u);
  for (const char* bad : {"", "d", "a|b", "A", " a", "wse33"}) {
    ExpectRefused(ParseWord("field", bad, "a|b|c").status(), bad, "must be one of a|b|c");
  }
}

TEST(UserInputTest, NamesCanBePartsOfFileNames) {
  for (const std::string& good :
       {std::string("austen-gpt"), std::string("a"), std::string("..."),
        std::string("yes: a, b # c"), std::string("caf\xC3\xA9"), std::string(128, 'x')}) {
    EXPECT_TRUE(CheckName("field", good).ok()) << good;
  }
  for (const std::string& bad :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("/"),
        std::string("../../../escaped"), std::string("a\nb"), std::string("\x1b[2J"),
        std::string("a\0b", 3), std::string("caf\xE9"), std::string("\xC2\x9B"), std::string(" a"),
        std::string("a "), std::string(" "), std::string(129, 'x'), std::string("\xE2\x80\xAE")}) {
    ExpectRefused(CheckName("field", bad), bad);
  }
}

TEST(UserInputTest, PathsAreWhatTheSystemTakes) {
  for (const char* good : {"a", "/", "../a b", "caf\xE9", "-x"}) {
    EXPECT_TRUE(CheckPath("field", good).ok()) << good;
  }
  ExpectRefused(CheckPath("field", ""), "", "is empty");
  ExpectRefused(CheckPath("field", string_view("a\0b", 3)), "a zero");
  ExpectRefused(CheckPath("field", "a\nb"), "a line's end");
  ExpectRefused(CheckPath("field", std::string(5000, 'x')), "long", "at most 4095 bytes");
}

TEST(UserInputTest, AbsolutePathsNeedNoCurrentFolder) {
  namespace fs = std::filesystem;
  const fs::path before = fs::current_path();
  const fs::path gone = fs::path(testing::TempDir()) / "gone";
  fs::create_directories(gone);
  fs::current_path(gone);
  EXPECT_EQ(*AbsolutePath("field", "a/../b"), (gone / "b").string());
  ASSERT_EQ(rmdir(gone.c_str()), 0);
  ExpectRefused(AbsolutePath("field", "a").status(), "a", "the current folder");
  EXPECT_EQ(*AbsolutePath("field", "/x/./y"), "/x/y");
  fs::current_path(before);
  ExpectRefused(AbsolutePath("field", "").status(), "", "is empty");
}

TEST(UserInputTest, AddressesAreHostAndPort) {
  for (const char* good : {"localhost:1", "127.0.0.1:65535", "[::1]:80", "a-b.c:5000"}) {
    EXPECT_TRUE(CheckAddress("field", good).ok()) << good;
  }
  for (const char* bad :
       {"", ":", "a", "a:", ":80", "a:0", "a:65536", "a:080", "a:+80", "a: 80", "a:8o", "a b:80",
        "http://a:80", "a\n:80", "user@a:80", "a:99999999999"}) {
    ExpectRefused(CheckAddress("field", bad), bad);
  }
  EXPECT_TRUE(CheckHost("field", "0.0.0.0").ok());
  ExpectRefused(CheckHost("field", ""), "");
  ExpectRefused(CheckHost("field", "a b"), "a b");
}

}  // namespace
}  // namespace waferstream
