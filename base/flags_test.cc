#include "base/flags.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"

namespace waferstream {
namespace {

// One option of every kind.
struct Given {
  int whole = 7;
  uint16_t port = 0;
  uint64_t seed = 0;
  std::optional<int> maybe;
  std::vector<uint32_t> list;
  double real = 0.5;
  std::string word = "a", path, name, host, address;
  // Empty: parsed.
  std::string Parse(std::vector<std::string> arguments) {
    CLI::App app;
    AddWhole(app, "-w,--whole", whole, "", {.low = 1});
    AddWhole(app, "--port", port, "");
    AddWhole(app, "--seed", seed, "");
    AddWhole(app, "--maybe", maybe, "");
    AddWholeList(app, "--list", list, "");
    AddReal(app, "--real", real, "", {.high = 100});
    AddWord(app, "--word", word, "a|b", "");
    AddPath(app, "PATH", path, "");
    AddName(app, "--name", name, "");
    AddHost(app, "--host", host, "");
    AddAddress(app, "--address", address, "");
    std::reverse(arguments.begin(), arguments.end());
    try {
      app.parse(arguments);
      return "";
    } catch (const CLI::ParseError& error) {
      return error.what();
    }
  }
};

TEST(FlagsTest, TakesGoodValues) {
  Given given;
  EXPECT_EQ(
      given.Parse({"-w",      "3",         "--port", "65535",  "--seed", "18446744073709551615",
                   "--maybe", "4",         "--list", "1,2,3",  "--real", "1e1",
                   "--word",  "b",         "a/b",    "--name", "n",      "--host",
                   "h",       "--address", "h:1"}),
      "");
  EXPECT_EQ(given.whole, 3);
  EXPECT_EQ(given.port, 65535);
  EXPECT_EQ(given.seed, UINT64_MAX);
  EXPECT_EQ(given.maybe, 4);
  EXPECT_EQ(given.list, (std::vector<uint32_t>{1, 2, 3}));
  EXPECT_EQ(given.real, 10);
  EXPECT_EQ(given.word + given.path + given.name + given.host + given.address, "ba/bnhh:1");
}

TEST(FlagsTest, KeepsDefaults) {
  Given given;
  EXPECT_EQ(given.Parse({}), "");
  EXPECT_EQ(given.whole, 7);
  EXPECT_EQ(given.maybe, std::nullopt);
}

TEST(FlagsTest, RefusesBadValuesByName) {
  const std::vector<std::vector<std::string>> cases = {
      {"--whole", "0x10"},
      {"--whole", "010"},
      {"--whole", ""},
      {"--whole", "0"},
      {"--whole", "2147483648"},
      {"--port", "65536"},
      {"--port", "-1"},
      {"--maybe", "1.5"},
      {"--maybe", "true"},
      {"--list", ""},
      {"--list", "1,,2"},
      {"--list", "1,2,"},
      {"--list", "-1"},
      {"--list", "4294967296"},
      {"--real", "nan"},
      {"--real", "inf"},
      {"--real", "1e400"},
      {"--real", ""},
      {"--real", "101"},
      {"--word", "c"},
      {"--word", ""},
      {"--name", "a/b"},
      {"--name", ""},
      {"--host", ""},
      {"--address", "h"},
      {"--address", ""},
  };
  for (const std::vector<std::string>& arguments : cases) {
    const std::string error = Given().Parse(arguments);
    EXPECT_TRUE(absl::StartsWith(error, arguments[0] + ": ")) << arguments[1] << ": " << error;
    EXPECT_FALSE(absl::StrContains(error, "\n")) << error;
  }
  EXPECT_TRUE(absl::StartsWith(Given().Parse({""}), "PATH: is empty"));
  EXPECT_TRUE(absl::StartsWith(Given().Parse({"-w", "x"}), "--whole: "));
}

}  // namespace
}  // namespace waferstream
