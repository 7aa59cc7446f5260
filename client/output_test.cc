#include "client/output.h"

#include <yaml-cpp/yaml.h>

#include <limits>

#include "gtest/gtest.h"

namespace waferstream {
namespace {

Json Example() {
  return Json{{"job", "a"},
              {"hash", "00120034"},
              {"exponent", "1e5"},
              {"word", "true"},
              {"nothing", nullptr},
              {"losses", {1.5, 0.1}},
              {"nodes", {{{"id", "wafer-0"}, {"text", "a: b # c\n\"d\""}}}},
              {"empty", Json::array()},
              {"count", 12}};
}

TEST(OutputTest, JsonKeepsOrderAndValues) {
  const std::string text = RenderStructured(Example(), Format::kJson);
  EXPECT_EQ(Json::parse(text), Example());
  EXPECT_LT(text.find("job"), text.find("hash"));
  EXPECT_EQ(text.back(), '\n');
}

TEST(OutputTest, YamlReadsBackAsWhatItWas) {
  const YAML::Node node = YAML::Load(RenderStructured(Example(), Format::kYaml));
  EXPECT_EQ(node["job"].as<std::string>(), "a");
  EXPECT_EQ(node["losses"][1].as<double>(), 0.1);
  EXPECT_TRUE(node["nothing"].IsNull());
  EXPECT_EQ(node["nodes"][0]["text"].as<std::string>(), "a: b # c\n\"d\"");
  EXPECT_TRUE(node["empty"].IsSequence());
  EXPECT_EQ(node["count"].as<int>(), 12);
}

TEST(OutputTest, YamlQuotesStringsThatLookLikeOtherTypes) {
  const YAML::Node node = YAML::Load(RenderStructured(Example(), Format::kYaml));
  for (const char* key : {"hash", "exponent", "word"}) {
    EXPECT_EQ(node[key].Tag(), "!") << key << " must be quoted";
    EXPECT_EQ(node[key].as<std::string>(), Example()[key].get<std::string>());
  }
  EXPECT_EQ(node["job"].Tag(), "?");
}

TEST(OutputTest, NotFiniteIsNull) {
  const Json value = {{"loss", std::numeric_limits<double>::quiet_NaN()}};
  EXPECT_TRUE(Json::parse(RenderStructured(value, Format::kJson))["loss"].is_null());
  EXPECT_TRUE(YAML::Load(RenderStructured(value, Format::kYaml))["loss"].IsNull());
}

TEST(OutputTest, InvalidUtf8IsReplacedNotFatal) {
  EXPECT_NE(RenderStructured(Json{{"text", "a\xFF"}}, Format::kJson).find('a'), std::string::npos);
}

}  // namespace
}  // namespace waferstream
