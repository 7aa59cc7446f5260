#include "data/text_stream.h"

#include "data/tokenizer_files.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

class EveryTokenizer : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Golden, EveryTokenizer,
                         testing::Values("gpt2", "qwen", "metaspace", "unigram", "bpe"));

// Token by token it says what the whole says, characters whole, and goes on from a prompt.
TEST_P(EveryTokenizer, SaysWhatTheWholeSays) {
  const auto files = OpenTokenizer("tests/golden/tokens/" + GetParam());
  ASSERT_TRUE(files.ok()) << files.status();
  const Tokenizer& tokenizer = files->tokenizer();
  const std::string text =
      "The weights, überall 重み \U0001F600\U0001F468\u200D\U0001F469 end  of it";
  std::vector<uint32_t> tokens;
  ASSERT_TRUE(tokenizer.Encode(text, tokens).ok());
  for (size_t prompt = 0; prompt < tokens.size(); ++prompt) {
    const std::span<const uint32_t> all(tokens);
    // A prompt of text ends with a whole character.
    if (tokenizer.Decode(all.first(prompt))->ends_with("\uFFFD")) continue;
    TextStream stream(tokenizer, all.first(prompt));
    std::string said;
    for (const uint32_t token : all.subspan(prompt)) {
      const auto more = stream.Add({&token, 1});
      ASSERT_TRUE(more.ok()) << more.status();
      said += *more;
    }
    const std::string rest = *stream.Finish();
    const std::string whole = *tokenizer.Decode(tokens);
    ASSERT_LE(said.size(), whole.size());
    EXPECT_EQ(said, whole.substr(whole.size() - said.size())) << prompt;
    EXPECT_EQ(rest, "");
    if (prompt == 0) {
      EXPECT_EQ(said, whole);
    }
  }
}

TEST(TextStream, KeepsBackAPartOfACharacter) {
  const auto files = OpenTokenizer("tests/golden/tokens/gpt2");
  ASSERT_TRUE(files.ok());
  std::vector<uint32_t> tokens;
  ASSERT_TRUE(files->tokenizer().Encode("\U0001F9FF", tokens).ok());
  ASSERT_GT(tokens.size(), 1u);
  TextStream stream(files->tokenizer(), {});
  EXPECT_EQ(*stream.Add(std::span(tokens).first(tokens.size() - 1)), "");
  EXPECT_EQ(*stream.Add(std::span(tokens).last(1)), "\U0001F9FF");
  // One that never becomes whole is shown at the end, as what it is.
  EXPECT_EQ(*stream.Add(std::span(tokens).first(1)), "");
  EXPECT_EQ(*stream.Finish(), "\uFFFD");
}

}  // namespace
}  // namespace waferstream
