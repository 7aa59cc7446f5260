#include "client/cluster_folder.h"

#include <cstdio>
#include <fstream>

#include "gtest/gtest.h"

namespace waferstream {
namespace {

std::string LastWordsOf(const std::string& text) {
  const std::string path = testing::TempDir() + "/log";
  std::ofstream(path) << text;
  std::string words = LastWords(path);
  std::remove(path.c_str());
  return words;
}

constexpr char kCalm[] =
    "{\"time\":\"T\",\"level\":\"info\",\"process\":\"w\",\"message\":\"m\"}\n";
constexpr char kTrouble[] =
    "{\"time\":\"T\",\"level\":\"error\",\"process\":\"w\",\"message\":\"no\"}\n";

TEST(LastWordsTest, AreTheLastTroubleInEitherFormat) {
  EXPECT_EQ(LastWordsOf("[T] [w] [error] no\n[T] [w] [info] m\n"), "[T] [w] [error] no");
  EXPECT_EQ(LastWordsOf(std::string(kTrouble) + kCalm), "[T] [w] [error] no");
  EXPECT_EQ(LastWordsOf(std::string(kTrouble) + "killed\n" + kCalm), "killed");
}

TEST(LastWordsTest, AreTheLastLineOfWhoHadNone) {
  EXPECT_EQ(LastWordsOf("[T] [w] [info] m\n[T] [w] [info] n\n\n"), "[T] [w] [info] n");
  EXPECT_EQ(LastWordsOf(std::string("[T] [w] [info] n\n") + kCalm), "[T] [w] [info] m");
  EXPECT_EQ(LastWordsOf(""), "");
}

}  // namespace
}  // namespace waferstream
