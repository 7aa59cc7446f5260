#include "client/table.h"

#include "gtest/gtest.h"

namespace waferstream {
namespace {

TEST(TableTest, ColumnsAlign) {
  Table table({{"JOB"}, {"STEP", Align::kRight}, {"STATE"}});
  table.Add({"a", "5", "DONE"});
  table.Add({"longer", "12345", ""});
  EXPECT_EQ(table.Render(),
            "JOB      STEP  STATE\n"
            "a           5  DONE\n"
            "longer  12345\n");
}

TEST(TableTest, NoRowsLeavesTheTitles) {
  EXPECT_EQ(Table({{"JOB"}, {"STATE"}}).Render(), "JOB  STATE\n");
}

TEST(TableTest, WidthCountsCharacters) {
  Table table({{"NAME"}, {"X"}});
  table.Add(
      {"\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F"
       "5",
       "1"});
  table.Add({"abcde", "2"});
  EXPECT_EQ(table.Render(),
            "NAME   X\n"
            "\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F"
            "5  1\n"
            "abcde  2\n");
}

TEST(TableTest, Pairs) {
  EXPECT_EQ(RenderPairs({{"job", "a"}, {"weights_hash", "ff"}, {"empty", ""}}),
            "job           a\n"
            "weights_hash  ff\n"
            "empty\n");
}

}  // namespace
}  // namespace waferstream
