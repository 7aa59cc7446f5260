#include "base/trace.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

namespace waferstream {
namespace {

nlohmann::json ReadBack(const std::string& path) {
  std::ifstream in(path);
  return nlohmann::json::parse(in);
}

std::string Path(const char* name) { return testing::TempDir() + "/" + name; }

TEST(Trace, SpansOfEveryThreadAreOnTheirRows) {
  const std::string path = Path("rows.json");
  ASSERT_TRUE(OpenTrace(path, "wafer-0").ok());
  EXPECT_FALSE(OpenTrace(path, "again").ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 100; ++i) TraceSpan(t == 0 ? "loop" : "compute", "work", 1.5, 1.75);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CloseTrace();
  int rows = 0, spans = 0, processes = 0;
  for (const auto& event : ReadBack(path)) {
    if (event["name"] == "process_name") {
      ++processes;
      EXPECT_EQ(event["args"]["name"], "wafer-0");
    } else if (event["name"] == "thread_name") {
      ++rows;
    } else {
      ++spans;
      EXPECT_EQ(event["ph"], "X");
      EXPECT_DOUBLE_EQ(event["ts"], 1.5e6);
      EXPECT_DOUBLE_EQ(event["dur"], 0.25e6);
    }
  }
  EXPECT_EQ(processes, 1);
  EXPECT_EQ(rows, 2);
  EXPECT_EQ(spans, 200);
}

TEST(Trace, AnyNameIsWrittenAsJson) {
  const std::string path = Path("names.json");
  ASSERT_TRUE(OpenTrace(path, "n").ok());
  TraceSpan("loop", "a \"b\"\n\xff", 0, 1);
  CloseTrace();
  EXPECT_EQ(ReadBack(path).back()["name"], "a \"b\"\n\ufffd");
}

TEST(Trace, NothingIsWrittenWithoutAFile) {
  EXPECT_FALSE(Traces());
  TraceSpan("loop", "x", 0, 1);
  EXPECT_EQ(OpenTrace(Path("no/such/folder"), "n").code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(Traces());
}

}  // namespace
}  // namespace waferstream
