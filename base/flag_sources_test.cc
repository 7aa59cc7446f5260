#include "base/flag_sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/flag_names.h"
#include "base/flags.h"

namespace waferstream {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

using Variables = std::vector<std::pair<std::string, std::string>>;

// What a user gives, and what a program with one flag of every kind makes of it.
struct Given {
  std::vector<std::string> arguments = {};
  Variables variables = {};
  std::string file = {};  // what is in cluster.yaml; empty: there is no such file
};

class FlagSourcesTest : public ::testing::Test {
 protected:
  ~FlagSourcesTest() override { Clear(); }

  // Empty: parsed.
  std::string Parse(const Given& given) {
    Clear();
    if (!given.file.empty()) std::ofstream(file_) << given.file;
    for (const auto& [name, value] : given.variables) setenv(name.c_str(), value.c_str(), 1);
    std::vector<const char*> argv = {"program"};
    for (const std::string& argument : given.arguments) argv.push_back(argument.c_str());
    app_ = std::make_unique<CLI::App>();
    sources_ = std::make_unique<FlagSources>();
    lease_ms_ = 1000, wafers_ = 2, temperature_ = 0.5;
    level_ = "info", log_ = path_ = id_ = controller_ = host_ = "";
    insecure_ = false;
    Declare();
    try {
      sources_->Parse(*app_, static_cast<int>(argv.size()), argv.data());
      return "";
    } catch (const CLI::ParseError& error) {
      return error.what();
    }
  }
  // As in a file, with its place.
  std::string ParseFile(const std::string& text) {
    const std::string error = Parse({{"--config", file_}, {}, text});
    return error.substr(0, file_.size()) == file_ ? error.substr(file_.size()) : error;
  }

  void Clear() {
    for (const absl::string_view flag : FlagNames()) unsetenv(VariableOf(flag).c_str());
    for (const char* name : {"WAFERSTREAM_FLIP", "WAFERSTREAM_LEASEMS", "WAFERSTREAM_"}) {
      unsetenv(name);
    }
    std::remove(file_.c_str());
  }

  void Declare() {
    AddWhole(*app_, "--lease-ms", lease_ms_, "", {.low = 100});
    AddReal(*app_, "--temperature", temperature_, "");
    AddWord(*app_, "--log-level", level_, "info|warn", "");
    AddPath(*app_, "--log", log_, "");
    AddName(*app_, "--id", id_, "");
    AddHost(*app_, "--host", host_, "");
    AddAddress(*app_, "--controller", controller_, "");
    AddSwitch(*app_, "--insecure", insecure_, "");
    AddPath(*app_, "-f,--file", path_, "")->configurable(false);
    CLI::App* run = app_->add_subcommand("run");
    AddWhole(*run, "--wafers", wafers_, "");
    CLI::App* other = app_->add_subcommand("other");
    AddName(*other, "--id", other_id_, "")->required();
    AddWhole(*other, "--wafers", other_wafers_, "");
  }

  const std::string file_ = ::testing::TempDir() + "/cluster.yaml";
  std::unique_ptr<CLI::App> app_;
  std::unique_ptr<FlagSources> sources_;
  int lease_ms_, wafers_, other_wafers_ = 2;
  double temperature_;
  bool insecure_;
  std::string level_, log_, path_, id_, host_, controller_, other_id_;
};

TEST_F(FlagSourcesTest, EveryKindHasAVariable) {
  EXPECT_EQ(Parse({{},
                   {{"WAFERSTREAM_LEASE_MS", "3000"},
                    {"WAFERSTREAM_TEMPERATURE", "0.25"},
                    {"WAFERSTREAM_LOG_LEVEL", "warn"},
                    {"WAFERSTREAM_LOG", "a b"},
                    {"WAFERSTREAM_ID", "w0"},
                    {"WAFERSTREAM_HOST", "h"},
                    {"WAFERSTREAM_CONTROLLER", "h:1"},
                    {"WAFERSTREAM_INSECURE", "true"}}}),
            "");
  EXPECT_EQ(lease_ms_, 3000);
  EXPECT_EQ(temperature_, 0.25);
  EXPECT_EQ(level_ + log_ + id_ + host_ + controller_, "warna bw0hh:1");
  EXPECT_TRUE(insecure_);
}

TEST_F(FlagSourcesTest, EveryKindHasAKey) {
  EXPECT_EQ(ParseFile("# of all\nlease-ms: 3000\ntemperature: 0.25\nlog-level: \"warn\"\n"
                      "log: a b\nid: 'w0'\nhost: h\ncontroller: h:1\ninsecure: true\n"),
            "");
  EXPECT_EQ(lease_ms_, 3000);
  EXPECT_EQ(temperature_, 0.25);
  EXPECT_EQ(level_ + log_ + id_ + host_ + controller_, "warna bw0hh:1");
  EXPECT_TRUE(insecure_);
}

TEST_F(FlagSourcesTest, CommandLineThenEnvironmentThenFileThenDefault) {
  const Variables variable = {{"WAFERSTREAM_LEASE_MS", "3000"}, {"WAFERSTREAM_INSECURE", "false"}};
  const std::string file = "lease-ms: 4000\ninsecure: true\n";
  EXPECT_EQ(Parse({{"--config", file_, "--lease-ms", "2000", "--insecure"}, variable, file}), "");
  EXPECT_EQ(lease_ms_, 2000);
  EXPECT_TRUE(insecure_);
  EXPECT_EQ(Parse({{"--config", file_}, variable, file}), "");
  EXPECT_EQ(lease_ms_, 3000);
  EXPECT_FALSE(insecure_);
  EXPECT_EQ(Parse({{"--config=" + file_}, {}, file}), "");
  EXPECT_EQ(lease_ms_, 4000);
  EXPECT_TRUE(insecure_);
  EXPECT_EQ(Parse({{}, {}, file}), "");
  EXPECT_EQ(lease_ms_, 1000);
  EXPECT_FALSE(insecure_);
}

TEST_F(FlagSourcesTest, AValueThatDoesNotCountIsNotLookedAt) {
  EXPECT_EQ(Parse({{"--lease-ms", "2000"}, {{"WAFERSTREAM_LEASE_MS", "many"}}}), "");
  EXPECT_EQ(lease_ms_, 2000);
  EXPECT_EQ(Parse({{"--config", file_}, {{"WAFERSTREAM_CONFIG", "/nowhere"}}, "lease-ms: 4000\n"}),
            "");
  EXPECT_EQ(lease_ms_, 4000);
}

TEST_F(FlagSourcesTest, ACommandThatIsNotCalledTakesNothing) {
  EXPECT_EQ(Parse({{"run"}, {{"WAFERSTREAM_WAFERS", "7"}, {"WAFERSTREAM_ID", "w0"}}}), "");
  EXPECT_EQ(wafers_, 7);
  EXPECT_EQ(other_wafers_, 2);
  EXPECT_EQ(other_id_, "");
  EXPECT_EQ(Parse({{"other", "--config", file_}, {}, "id: w1\n"}), "");
  EXPECT_EQ(other_id_, "w1") << "what is required may come from a file";
  EXPECT_EQ(Parse({{"other"}}), "--id is required");
}

TEST_F(FlagSourcesTest, TheFileMayBeNamedByAVariable) {
  EXPECT_EQ(Parse({{}, {{"WAFERSTREAM_CONFIG", file_}}, "lease-ms: 4000\n"}), "");
  EXPECT_EQ(lease_ms_, 4000);
  EXPECT_EQ(std::getenv("WAFERSTREAM_CONFIG"), nullptr) << "who is started has its values";
  EXPECT_STREQ(std::getenv("WAFERSTREAM_LEASE_MS"), "4000");
}

TEST_F(FlagSourcesTest, AnEmptyFileSaysNothing) { EXPECT_EQ(ParseFile("# nothing\n"), ""); }

TEST_F(FlagSourcesTest, NamesOfOtherProgramsAreKnown) {
  EXPECT_EQ(Parse({{}, {{"WAFERSTREAM_KERNEL_ISA", "avx2"}, {"WAFERSTREAM_FLIP", "x"}}}), "");
  EXPECT_EQ(ParseFile("kernel-isa: avx2\n"), "");
}

TEST_F(FlagSourcesTest, ABadVariableIsNamed) {
  const struct {
    const char *name, *value, *error;
  } kBad[] = {
      {"WAFERSTREAM_LEASEMS", "1000",
       "no flag has this variable; did you mean WAFERSTREAM_LEASE_MS?"},
      {"WAFERSTREAM_", "1", "no flag has this variable"},
      {"WAFERSTREAM_LEASE_MS", "", "is empty"},
      {"WAFERSTREAM_KERNEL_ISA", "", "is empty"},
      {"WAFERSTREAM_CONFIG", "", "is empty"},
      {"WAFERSTREAM_CONFIG", "/nowhere.yaml", "/nowhere.yaml: No such file"},
      {"WAFERSTREAM_LEASE_MS", "0x10", "\"0x10\" must be a whole number"},
      {"WAFERSTREAM_LEASE_MS", "99", "99 must be at least 100"},
      {"WAFERSTREAM_LEASE_MS", " 1000", "\" 1000\" must be a whole number"},
      {"WAFERSTREAM_TEMPERATURE", "nan", "\"nan\" must be a number"},
      {"WAFERSTREAM_LOG_LEVEL", "loud", "\"loud\" must be one of info|warn"},
      {"WAFERSTREAM_LOG", "a\nb", "\"a\\nb\" must be a path without control characters"},
      {"WAFERSTREAM_ID", "a/b", "\"a/b\" must be a name and no path"},
      {"WAFERSTREAM_ID", "\xff", "is not UTF-8"},
      {"WAFERSTREAM_HOST", "a b", "\"a b\" must be a host"},
      {"WAFERSTREAM_CONTROLLER", "h", "\"h\" must be host:port"},
      {"WAFERSTREAM_INSECURE", "maybe", "\"maybe\" must be true or false"},
      {"WAFERSTREAM_INSECURE", "1", "\"1\" must be true or false"},
  };
  for (const auto& bad : kBad) {
    const std::string error = Parse({{}, {{bad.name, bad.value}}});
    EXPECT_THAT(error, StartsWith(absl::StrCat(bad.name, ": ", bad.error)));
    EXPECT_THAT(error, Not(HasSubstr("\n")));
  }
}

TEST_F(FlagSourcesTest, ABadKeyIsNamedWithItsFileAndLine) {
  const std::pair<const char*, const char*> kBad[] = {
      {"lease-m: 1\n", ":1: lease-m: no flag has this name; did you mean lease-ms?"},
      {"lease_ms: 1000\n", ":1: lease_ms: no flag has this name; did you mean lease-ms?"},
      {"--lease-ms: 1000\n", ":1: --lease-ms: no flag has this name; did you mean lease-ms?"},
      {"file: job.yaml\n", ":1: file: no flag has this name"},
      {"help: true\n", ":1: help: no flag has this name"},
      {"config: a.yaml\n", ":1: config: is a flag and a variable alone"},
      {"\"a\\nb\": 1\n", ":1: a\\nb: no flag has this name"},
      {"log: a\nlog: b\n", ":2: log: given twice"},
      {"log: ''\n", ":1: log: is empty"},
      {"log:\n", ":1: log: has no value"},
      {"log: [a, b]\n", ":1: log: must be one value"},
      {"log: {a: b}\n", ":1: log: must be one value"},
      {"log: a\n\nlease-ms: 0x10\n", ":3: lease-ms: \"0x10\" must be a whole number"},
      {"lease-ms: 3_000\n", ":1: lease-ms: \"3_000\" must be a whole number"},
      {"insecure: yes\n", ":1: insecure: \"yes\" must be true or false"},
      {"log: \"a\\nb\"\n", ":1: log: \"a\\nb\" must be a path"},
      {"controller: h\n", ":1: controller: \"h\" must be host:port"},
      {"? [a]\n: b\n", ":1: must be `flag: value`"},
      {"- log\n", ": must be lines of `flag: value`"},
      {"log\n", ": must be lines of `flag: value`"},
      {"log = a\n", ": must be lines of `flag: value`"},
      {"log: a\n---\nlog: b\n", ":3: a second document"},
      {"log: a\n\x04", ":2: holds the control character 0x04"},
      {"log: \xff\n", ":1: is not UTF-8"},
      {"log: [\n", ":"},
  };
  for (const auto& [text, error] : kBad) {
    EXPECT_THAT(ParseFile(text), StartsWith(error)) << text;
    EXPECT_THAT(ParseFile(text), Not(HasSubstr("\n")));
  }
}

TEST_F(FlagSourcesTest, ABadCommandLineIsNamed) {
  const std::pair<std::vector<std::string>, const char*> kBad[] = {
      {{"--lease-ms", "0x10"}, "--lease-ms: \"0x10\""},
      {{"--lease-ms=", "--insecure"}, "--lease-ms: is empty"},
      {{"--insecure=maybe"}, "--insecure: \"maybe\" must be true or false"},
      {{"--config", "/nowhere.yaml"}, "--config: /nowhere.yaml: No such file"},
      {{"--config", ""}, "--config: is empty"},
      {{"--config"}, "--config: 1 required PATH missing"},
      {{"--config", "/"}, "/: is a folder"},
      {{"--config", "/dev/null"}, "/dev/null: is a device"},
  };
  const Variables variable = {{"WAFERSTREAM_LEASE_MS", "3000"}};
  for (const auto& [arguments, error] : kBad) {
    EXPECT_THAT(Parse({arguments, variable}), StartsWith(error));
  }
}

TEST_F(FlagSourcesTest, WhatIsWrongLaterIsNamedToo) {
  const absl::Status status = absl::NotFoundError("--log: not there");
  EXPECT_EQ(Parse({{"--log", "a"}}), "");
  EXPECT_EQ(sources_->Named(status), status);
  EXPECT_EQ(Parse({{}, {{"WAFERSTREAM_LOG", "a"}}}), "");
  EXPECT_EQ(sources_->Named(status), absl::NotFoundError("WAFERSTREAM_LOG: not there"));
  EXPECT_EQ(Parse({{"--config", file_}, {}, "log: a\n"}), "");
  EXPECT_EQ(sources_->Named(status), absl::NotFoundError(file_ + ":1: log: not there"));
  EXPECT_EQ(Parse({{"--log", "b"}, {{"WAFERSTREAM_LOG", "a"}}}), "");
  EXPECT_EQ(sources_->Named(status), status) << "the variable does not count";
  EXPECT_EQ(sources_->Named(absl::OkStatus()), absl::OkStatus());
  for (const char* other : {"log: not there", "--log", "", "--no-such: x"}) {
    EXPECT_EQ(sources_->Named(absl::NotFoundError(other)), absl::NotFoundError(other));
  }
}

}  // namespace
}  // namespace waferstream
