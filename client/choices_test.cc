#include "client/choices.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "checkpoint/posix_disk.h"
#include "data/token_file.h"

namespace waferstream {
namespace {

std::string WriteFile(const std::string& text) {
  const std::string path = testing::TempDir() + "/questions.jsonl";
  std::ofstream(path) << text;
  return path;
}

constexpr char kGood[] =
    R"({"context": "The sky is", "choices": [" blue", " green"], "answer": 0})"
    "\n\n"
    R"({"context": "2 + 2 =", "choices": [" 3", " 4", " 5"], "answer": 1, "id": 7})"
    "\n";

TEST(Choices, ReadsQuestions) {
  const auto questions = ReadQuestions(PosixDisk(), WriteFile(kGood));
  ASSERT_TRUE(questions.ok()) << questions.status();
  ASSERT_EQ(questions->size(), 2u);
  EXPECT_EQ((*questions)[0].context, "The sky is");
  EXPECT_EQ((*questions)[1].choices, (std::vector<std::string>{" 3", " 4", " 5"}));
  EXPECT_EQ((*questions)[1].answer, 1u);
  EXPECT_EQ((*questions)[1].line, 3u);
}

TEST(Choices, WhatIsWrongIsSaidWithItsLine) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "has no question"},
      {"[]", ":1: is no JSON object"},
      {"{", ":1: "},
      {R"({"choices": ["a", "b"], "answer": 0})", ":1: has no text \"context\""},
      {R"({"context": "", "choices": ["a"], "answer": 0})", ":1: has no list \"choices\""},
      {R"({"context": "", "choices": ["a", 3], "answer": 0})", ":1: has a choice that is no text"},
      {R"({"context": "", "choices": ["a", "b"], "answer": 2})",
       ":1: has no \"answer\" from 0 to 1"},
      {R"({"context": "", "choices": ["a", "b"], "answer": -1})", ":1: has no \"answer\""},
  };
  for (const auto& [text, want] : cases) {
    const auto questions = ReadQuestions(PosixDisk(), WriteFile(text));
    EXPECT_FALSE(questions.ok()) << text;
    EXPECT_NE(std::string(questions.status().message()).find(want), std::string::npos)
        << questions.status();
  }
}

class WriteQuestionsTest : public testing::Test {
 protected:
  WriteQuestionsTest() { std::remove(path_.c_str()); }
  absl::Status Write(const std::vector<Question>& questions, uint32_t context) {
    const auto files = OpenTokenizer("bytes");
    EXPECT_TRUE(files.ok()) << files.status();
    return WriteQuestions(PosixDisk(), questions, *files, context, "q.jsonl", path_);
  }
  const std::string path_ = testing::TempDir() + "/choices.bin";
};

TEST_F(WriteQuestionsTest, OnlyChoicesAreTargets) {
  ASSERT_TRUE(Write({{.context = "ab", .choices = {"xyz", "u"}, .answer = 0, .line = 1}}, 6).ok());
  const auto file = TokenFile::Open(PosixDisk(), path_, 256);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ((*file)->size(), 13);
  std::vector<uint32_t> tokens(13);
  ASSERT_TRUE((*file)->CopyMarked(0, tokens).ok());
  std::string text, targets;
  for (const uint32_t token : tokens) {
    text += static_cast<char>((*file)->IdOf(token));
    targets += (*file)->IsTarget(token) ? '+' : '-';
  }
  EXPECT_EQ(text, std::string("abxyz\0abu\0\0\0\0", 13));
  EXPECT_EQ(targets, "--+++---+----");
}

TEST_F(WriteQuestionsTest, WhatIsTooLongLosesItsBeginning) {
  ASSERT_TRUE(
      Write({{.context = "abcdef", .choices = {"xyz", "u"}, .answer = 0, .line = 1}}, 4).ok());
  const auto file = TokenFile::Open(PosixDisk(), path_, 256);
  ASSERT_TRUE(file.ok()) << file.status();
  std::vector<uint32_t> tokens(8);
  ASSERT_TRUE((*file)->CopyTokens(0, tokens).ok());
  EXPECT_EQ(std::string(tokens.begin(), tokens.end()), "fxyzdefu");
}

TEST_F(WriteQuestionsTest, WhatDoesNotFitIsRefusedByLine) {
  EXPECT_EQ(
      Write({{.context = "a", .choices = {"wxyz", "u"}, .answer = 0, .line = 5}}, 4).message(),
      "q.jsonl:5: a choice of 4 tokens does not fit into a context of 4 with a token before it");
  EXPECT_EQ(Write({{.context = "", .choices = {"x", "u"}, .answer = 0, .line = 2}}, 4).message(),
            "q.jsonl:2: nothing stands before its choices");
}

TEST(ScoreQuestions, TheLikeliestIsChosen) {
  const std::vector<Question> questions = {
      {.context = "", .choices = {"a long one", "b"}, .answer = 0},
      {.context = "", .choices = {"c", "d", "e"}, .answer = 2},
  };
  // The first question: 8 nats for ten bytes, 4 for one.
  const auto scores = ScoreQuestions(questions, {8, 4, 3, 2, 1});
  ASSERT_TRUE(scores.ok());
  EXPECT_EQ(scores->questions, 2u);
  EXPECT_EQ(scores->right, 1u);
  EXPECT_EQ(scores->right_per_byte, 2u);
  EXPECT_EQ(ChoicesJson(*scores)["accuracy"], 0.5);
  EXPECT_FALSE(ScoreQuestions(questions, {8, 4, 3, 2}).ok());
}

}  // namespace
}  // namespace waferstream
