#include "data/tokenizer.h"

#include "gtest/gtest.h"

namespace waferstream {
namespace {

TEST(ByteTokenizer, IdsAreBytes) {
  const auto tokenizer = MakeByteTokenizer();
  std::vector<uint32_t> tokens = {7};
  const std::string text("\xFF\0a", 3);
  ASSERT_TRUE(tokenizer->Encode(text, tokens).ok());
  EXPECT_EQ(tokens, (std::vector<uint32_t>{7, 255, 0, 'a'}));
  EXPECT_EQ(*tokenizer->Decode(std::span(tokens).subspan(1)), text);
  EXPECT_EQ(tokenizer->vocab(), 256u);
  EXPECT_FALSE(tokenizer->needs_utf8());
  EXPECT_EQ(tokenizer->Id("10"), 10u);
  EXPECT_EQ(tokenizer->Id("256"), std::nullopt);
  EXPECT_EQ(tokenizer->Id("a"), std::nullopt);
}

TEST(LastCut, IsAtALineBetweenLetters) {
  EXPECT_EQ(LastCut("ab\ncd", 5, Cuts::kLines), 3u);
  EXPECT_EQ(LastCut("a1\ncd", 5, Cuts::kLines), 3u);
  EXPECT_EQ(LastCut("ab\ncd\nef", 8, Cuts::kLines), 6u);
  EXPECT_EQ(LastCut("ab\ncd\nef", 5, Cuts::kLines), 3u);
  // What follows is not known, is no letter, or what is before is none.
  EXPECT_EQ(LastCut("ab\n", 3, Cuts::kLines), 0u);
  EXPECT_EQ(LastCut("ab\n\ncd", 6, Cuts::kLines), 0u);
  EXPECT_EQ(LastCut("ab\r\ncd", 6, Cuts::kLines), 0u);
  EXPECT_EQ(LastCut("ab\n1d", 5, Cuts::kLines), 0u);
  EXPECT_EQ(LastCut("ab\n d", 5, Cuts::kLines), 0u);
  EXPECT_EQ(LastCut("a.\ncd", 5, Cuts::kLines), 0u);
  EXPECT_EQ(LastCut("ab\n\xC3\xA4", 5, Cuts::kLines), 0u);
  EXPECT_EQ(LastCut("\ncd", 3, Cuts::kLines), 0u);
  EXPECT_EQ(LastCut("abc", 2, Cuts::kAnywhere), 2u);
  EXPECT_EQ(LastCut("ab\ncd", 5, Cuts::kNowhere), 0u);
}

}  // namespace
}  // namespace waferstream
