#include "base/text.h"

#include <gtest/gtest.h>

namespace waferstream {
namespace {

TEST(TextTest, KnowsUtf8) {
  for (const char* good : {"", "a", "caf\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
  }
  // A stray byte, overlong forms, a surrogate, beyond the last, cut off, a byte that never occurs.
  for (const char* bad : {"caf\xE9", "\xC0\xAF", "\xE0\x82\xAC", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                          "\xF0\x9F", "\xE2\x82", "\x80", "gpt\xFF"}) {
    EXPECT_FALSE(IsUtf8(bad)) << bad;
  }
}

TEST(TextTest, WhatIsSentIsUtf8) {
  EXPECT_EQ(ToUtf8(""), "");
  EXPECT_EQ(ToUtf8("caf\xC3\xA9\n\t"), "caf\xC3\xA9\n\t");
  EXPECT_EQ(ToUtf8("caf\xC3"), "caf\uFFFD");                // cut off behind
  EXPECT_EQ(ToUtf8("\xA9s"), "\uFFFDs");                    // and before
  EXPECT_EQ(ToUtf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // a surrogate
}

TEST(TextTest, OneLineShowsWhatALineCanHold) {
  EXPECT_EQ(OneLine("caf\xC3\xA9 \"x\" \\"), "caf\xC3\xA9 \"x\" \\");
  EXPECT_EQ(OneLine("a\nb\tc\r"), "a\\nb\\tc\\r");
  EXPECT_EQ(OneLine("\x1b[31m\x7f"), "\\x1b[31m\\x7f");
  EXPECT_EQ(OneLine("caf\xE9!"), "caf\\xe9!");
  // The eight-bit form of the terminal's escape, a line separator, a change of direction.
  EXPECT_EQ(OneLine("\xC2\x9B\x32J"), "\\xc2\\x9b2J");
  EXPECT_EQ(OneLine("a\xE2\x80\xA8\x62"), "a\\xe2\\x80\\xa8b");
  EXPECT_EQ(OneLine("\xE2\x80\xAE"), "\\xe2\\x80\\xae");
  EXPECT_EQ(OneLine(absl::string_view("a\0b", 3)), "a\\x00b");
}

}  // namespace
}  // namespace waferstream
