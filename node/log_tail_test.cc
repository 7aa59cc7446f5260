#include "node/log_tail.h"

#include <gtest/gtest.h>

#include <fstream>

namespace waferstream {
namespace {

std::string Write(const std::string& text) {
  const std::string path = ::testing::TempDir() + "/log";
  std::ofstream(path) << text;
  return path;
}

TEST(LogTail, WholeFileWhenItFits) {
  EXPECT_EQ(*ReadTail(Write("one\ntwo\n"), 0), "one\ntwo\n");
  EXPECT_EQ(*ReadTail(Write("one\ntwo\n"), 8), "one\ntwo\n");
  EXPECT_EQ(*ReadTail(Write(""), 8), "");
}

TEST(LogTail, WholeLinesFromTheEnd) {
  EXPECT_EQ(*ReadTail(Write("one\ntwo\nthree\n"), 8), "three\n");
  EXPECT_EQ(*ReadTail(Write("one\ntwo\nthree\n"), 11), "two\nthree\n");
}

TEST(LogTail, BoundedWhateverIsAskedFor) {
  const std::string line(99, 'x');
  std::string text;
  for (int i = 0; i < 20000; ++i) text += line + "\n";
  const std::string tail = *ReadTail(Write(text), ~uint64_t{0});
  EXPECT_LE(tail.size(), kLogTailBytesMax);
  EXPECT_GT(tail.size(), kLogTailBytesMax - 200);
  EXPECT_EQ(tail.size() % 100, 0u);
}

TEST(LogTail, NoFile) {
  EXPECT_EQ(*ReadTail("", 0), "");
  EXPECT_EQ(ReadTail("/nowhere/log", 0).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace waferstream
