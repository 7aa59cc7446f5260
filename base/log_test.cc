#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <fstream>
#include <vector>

#include "base/json.h"
#include "base/log_line.h"

namespace waferstream {
namespace {

using ::testing::MatchesRegex;

class LogTest : public ::testing::Test {
 protected:
  LogTest() { std::remove(file_.c_str()); }
  ~LogTest() override { std::remove(file_.c_str()); }

  std::vector<std::string> Lines() const {
    std::ifstream file(file_);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }
  // Logs every text as a JSON line; what a reader makes of them.
  std::vector<nlohmann::json> LoggedAsJson(const std::vector<std::string>& texts) const {
    const auto log = OpenLog("w\"0", {.file = file_, .format = "json"});
    for (const std::string& text : texts) (*log)->warn("{}", text);
    std::vector<nlohmann::json> read;
    for (const std::string& line : Lines()) {
      const auto json = ParseJson(line);
      EXPECT_TRUE(json.ok()) << json.status() << ": " << line;
      if (json.ok()) read.push_back(*json);
    }
    return read;
  }

  const std::string file_ = ::testing::TempDir() + "/log";
};

TEST_F(LogTest, TextIsALineOfText) {
  const auto log = OpenLog("w0", {.file = file_});
  ASSERT_TRUE(log.ok());
  (*log)->info("hello");
  (*log)->debug("not logged");
  ASSERT_EQ(Lines().size(), 1u) << "written while the log is open";
  EXPECT_THAT(Lines()[0],
              MatchesRegex("\\[....-..-.. ..:..:..\\....\\] \\[w0\\] \\[info\\] hello"));
}

TEST_F(LogTest, JsonIsAnObjectALine) {
  const auto log = OpenLog("w0", {.file = file_, .level = "debug", .format = "json"});
  ASSERT_TRUE(log.ok());
  (*log)->debug("a");
  (*log)->critical("b");
  ASSERT_EQ(Lines().size(), 2u);
  EXPECT_THAT(Lines()[0],
              MatchesRegex("\\{\"time\":\"....-..-..T..:..:..\\....Z\",\"level\":\"debug\","
                           "\"process\":\"w0\",\"message\":\"a\"\\}"));
  EXPECT_EQ((*ParseJson(Lines()[1]))["level"], "critical");
}

TEST_F(LogTest, AnyBytesAreValidJson) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
  const std::vector<std::string> texts = {"",
                                          "\"\\\n\r\t\x1b\x7f",
                                          "Gr\xc3\xbc\xc3\x9f!",
                                          "{\"level\":\"x\"}\n{",
                                          bytes,
                                          "\xc3",
                                          "\xed\xa0\x80",
                                          std::string(3, '\0'),
                                          "{} {:d}",
                                          "\xf0\x9f\x8c\x8d",
                                          "\xff\xfe",
                                          std::string(1 << 20, '"')};
  const std::vector<nlohmann::json> read = LoggedAsJson(texts);
  ASSERT_EQ(read.size(), texts.size()) << "one line each";
  for (const size_t i : {0, 1, 2, 3, 7, 8, 9, 11}) EXPECT_EQ(read[i]["message"], texts[i]) << i;
  EXPECT_EQ(read[5]["message"], "\xef\xbf\xbd");
  EXPECT_EQ(read[0]["process"], "w\"0");
}

TEST_F(LogTest, TheLevelIsHeldTo) {
  const auto log = OpenLog("w0", {.file = file_, .level = "error"});
  ASSERT_TRUE(log.ok());
  (*log)->warn("not logged");
  (*log)->error("logged");
  EXPECT_EQ(Lines().size(), 1u);
}

TEST_F(LogTest, AFileThatIsNoneIsNamed) {
  EXPECT_EQ(std::string(OpenLog("w0", {.file = "/"}).status().message()), "/: Is a directory");
  const std::string below = file_ + "/log";
  std::ofstream(file_) << "";
  EXPECT_THAT(std::string(OpenLog("w0", {.file = below}).status().message()),
              ::testing::HasSubstr(below));
}

TEST(LogLineTest, IsInUtcWithMilliseconds) {
  EXPECT_EQ(JsonLogLine(absl::FromUnixMillis(1767225599007), "info", "controller", "x"),
            "{\"time\":\"2025-12-31T23:59:59.007Z\",\"level\":\"info\",\"process\":\"controller\","
            "\"message\":\"x\"}");
}

TEST(LogLineTest, IsReadInBothFormats) {
  const struct {
    const char* line;
    bool trouble;
    const char* text;
  } kLines[] = {
      {"[2026-01-31 23:59:59.123] [w0] [info] x", false, "[2026-01-31 23:59:59.123] [w0] [info] x"},
      {"[2026-01-31 23:59:59.123] [w0] [error] x", true,
       "[2026-01-31 23:59:59.123] [w0] [error] x"},
      {"{\"time\":\"T\",\"level\":\"info\",\"process\":\"w0\",\"message\":\"x\"}", false,
       "[T] [w0] [info] x"},
      {"{\"time\":\"T\",\"level\":\"debug\",\"process\":\"w0\",\"message\":\"x\"}", false,
       "[T] [w0] [debug] x"},
      {"{\"time\":\"T\",\"level\":\"critical\",\"process\":\"w0\",\"message\":\"[info]\"}", true,
       "[T] [w0] [critical] [info]"},
      {"{\"level\":1}", true, "[] [] [] "},
      {"{\"level\":\"info\"", true, "{\"level\":\"info\""},
      {"[]", true, "[]"},
      {"{}", true, "{}"},
      {"terminate called", true, "terminate called"},
      {"", true, ""},
  };
  for (const auto& line : kLines) {
    EXPECT_EQ(ParseLogLine(line.line).trouble, line.trouble) << line.line;
    EXPECT_EQ(ParseLogLine(line.line).text, line.text);
  }
}

}  // namespace
}  // namespace waferstream
