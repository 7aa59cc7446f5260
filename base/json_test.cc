#include "base/json.h"

#include <gtest/gtest.h>

#include <string>

namespace waferstream {
namespace {

std::string Complaint(const std::string& text) {
  const auto json = ParseJson(text);
  EXPECT_EQ(json.status().code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(json.status().message());
}

std::string Nested(int depth, const std::string& open, const std::string& close) {
  std::string text;
  for (int i = 0; i < depth; ++i) text += open;
  text += "1";
  for (int i = 0; i < depth; ++i) text += close;
  return text;
}

TEST(JsonTest, ParsesWhatIsWellFormed) {
  EXPECT_EQ((*ParseJson(R"({"a": [1, {"a": 2}], "b": {"a": 3}})"))["a"][1]["a"], 2);
  EXPECT_EQ(*ParseJson("7"), 7);
  EXPECT_TRUE(ParseJson(Nested(kJsonDepthMax - 1, "[", "]")).ok());
}

TEST(JsonTest, RefusesWhatIsNot) {
  for (const char* bad : {"", "{", "[1,]", "{\"a\":1}x", "nan", "1e400", "'a'", "{a: 1}", "\xFF",
                          "\"\xFF\"", "[1] [2]"}) {
    EXPECT_EQ(Complaint(bad), "is not JSON") << bad;
  }
}

TEST(JsonTest, RefusesOneNameTwice) {
  EXPECT_EQ(Complaint(R"({"a": 1, "a": 1})"), "has the name \"a\" twice");
  EXPECT_EQ(Complaint(R"({"b": [{"a": 1, "c": 2, "a": 3}]})"), "has the name \"a\" twice");
  EXPECT_EQ(Complaint("{\"\\n\": 1, \"\\n\": 1}"), "has the name \"\\n\" twice");
}

TEST(JsonTest, RefusesWhatIsNestedTooDeep) {
  for (const int depth : {kJsonDepthMax + 1, 1'000'000}) {
    EXPECT_EQ(Complaint(Nested(depth, "[", "]")), "is nested deeper than 64");
    EXPECT_EQ(Complaint(Nested(depth, "{\"a\":", "}")), "is nested deeper than 64");
    Complaint(Nested(depth, "[", ""));
  }
}

}  // namespace
}  // namespace waferstream
