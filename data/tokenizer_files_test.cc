// Against the reference implementations: tests/golden/make_tokens.py.
#include "data/tokenizer_files.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace waferstream {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string kGolden = "tests/golden/tokens/";

std::string Contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Json Golden(const std::string& name) { return Json::parse(Contents(kGolden + name)); }

TokenizerFiles Open(const std::string& name) {
  absl::StatusOr<TokenizerFiles> files = OpenTokenizer(kGolden + name);
  EXPECT_TRUE(files.ok()) << files.status();
  return *std::move(files);
}

std::vector<uint32_t> Encode(const Tokenizer& tokenizer, const std::string& text) {
  std::vector<uint32_t> tokens;
  const absl::Status status = tokenizer.Encode(text, tokens);
  EXPECT_TRUE(status.ok()) << status;
  return tokens;
}

class EveryTokenizer : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Golden, EveryTokenizer,
                         testing::Values("gpt2", "llama3", "qwen", "metaspace", "unigram", "bpe"));

TEST_P(EveryTokenizer, GivesTheReferencesTokensAndText) {
  const TokenizerFiles files = Open(GetParam());
  const Json cases = Golden("cases.json");
  const Json ids = Golden("ids.json")[GetParam()];
  const Json decoded = Golden("decoded.json")[GetParam()];
  ASSERT_GT(cases.size(), 60u);
  for (size_t i = 0; i < cases.size(); ++i) {
    const std::vector<uint32_t> tokens = Encode(files.tokenizer(), cases[i]);
    EXPECT_EQ(Json(tokens), ids[i]) << cases[i];
    EXPECT_EQ(Json(*files.tokenizer().Decode(tokens)), decoded[i]) << cases[i];
    for (const uint32_t token : tokens) EXPECT_LT(token, files.tokenizer().vocab());
  }
}

// All cases on end, as if a file had them, wherever a cut is allowed.
TEST_P(EveryTokenizer, PartsHaveTheTokensOfTheWhole) {
  const TokenizerFiles files = Open(GetParam());
  const Tokenizer& tokenizer = files.tokenizer();
  const bool cuts = GetParam() == "gpt2" || GetParam() == "llama3" || GetParam() == "qwen";
  ASSERT_EQ(tokenizer.cuts(), cuts ? Cuts::kLines : Cuts::kNowhere);
  std::string text;
  for (const std::string one : Golden("cases.json")) absl::StrAppend(&text, one, "x\ny", one, "\n");
  std::vector<uint32_t> parts;
  int count = 0;
  for (absl::string_view rest = text; !rest.empty(); ++count) {
    size_t end = 1;
    while (end < rest.size() && LastCut(rest, end, tokenizer.cuts()) == 0) ++end;
    for (const uint32_t token : Encode(tokenizer, std::string(rest.substr(0, end)))) {
      parts.push_back(token);
    }
    rest.remove_prefix(end);
  }
  EXPECT_GT(count, cuts ? 60 : 0);
  EXPECT_EQ(parts, Encode(tokenizer, text));
}

class EveryChat : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Golden, EveryChat, testing::Values("chat", "chat_tagged"));

TEST_P(EveryChat, GivesTransformersTokensAndMask) {
  const TokenizerFiles files = Open(GetParam());
  ASSERT_NE(files.chat, nullptr);
  const Json expected = Golden("chat.json")[GetParam()];
  std::ifstream in(kGolden + "chat.jsonl");
  std::string record;
  for (const Json& one : expected) {
    ASSERT_TRUE(std::getline(in, record));
    std::vector<uint32_t> marked;
    const absl::Status status = files.chat->Encode(*files.json, record, marked);
    ASSERT_TRUE(status.ok()) << status;
    Json ids = Json::array(), answers = Json::array();
    for (const uint32_t token : marked) {
      ids.push_back(token & ~kNoTarget);
      answers.push_back((token & kNoTarget) == 0 ? 1 : 0);
    }
    EXPECT_EQ(ids, one[0]) << record;
    EXPECT_EQ(answers, one[1]) << record;
  }
  ASSERT_FALSE(std::getline(in, record));
}

TEST(ChatTemplate, RefusesWithOneLine) {
  const TokenizerFiles files = Open("chat");
  const auto error = [&](const std::string& record) {
    std::vector<uint32_t> marked;
    return std::string(files.chat->Encode(*files.json, record, marked).message());
  };
  EXPECT_THAT(error("{}"), HasSubstr("no field \"messages\""));
  EXPECT_THAT(error("{"), HasSubstr("EOF"));
  EXPECT_THAT(error(R"({"messages": [{"content": "a"}]})"),
              HasSubstr("message 1: no field \"role\""));
  EXPECT_THAT(error(R"({"messages": [{"role": "assistant"}]})"),
              HasSubstr("message 1: no field \"content\""));
  EXPECT_THAT(error(R"({"messages": [{"role": "user", "content": "a"}]})"),
              HasSubstr("no message is the assistant's"));
  EXPECT_THAT(error(R"({"messages": [{"role": "x", "content": "a"},
                                     {"role": "assistant", "content": "a"}]})"),
              HasSubstr("no such role: x"));
  EXPECT_THAT(error("{\"messages\": [{\"role\": \"assistant\", \"content\": \"\xEF\xB7\x90\"}]}"),
              HasSubstr("U+FDD0"));
}

// One that writes an answer otherwise once another follows it.
TEST(ChatTemplate, NeedsTagsWhereAnAnswerIsNotKept) {
  const auto chat = ChatTemplate::Make(
      "{% for m in messages %}{{ m.role }}: {{ m.content if loop.last else '...' }}\n{% endfor %}"
      "{% if add_generation_prompt %}assistant: {% endif %}",
      "{}");
  ASSERT_TRUE(chat.ok()) << chat.status();
  const TokenizerFiles files = Open("gpt2");
  std::vector<uint32_t> marked;
  const std::string turn =
      R"({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"})";
  EXPECT_THAT(
      std::string((*chat)
                      ->Encode(*files.json,
                               absl::StrCat("{\"messages\": [", turn, ", ", turn, "]}"), marked)
                      .message()),
      HasSubstr("it needs {% generation %}"));
}

TEST(TokenizerFiles, KnowWhichTokensEndWhat) {
  const TokenizerFiles gpt2 = Open("gpt2");
  EXPECT_EQ(gpt2.end_of_text, 0u);
  EXPECT_THAT(gpt2.stops, ElementsAre(0));
  EXPECT_EQ(gpt2.chat, nullptr);
  // An answer ends otherwise than a document.
  const TokenizerFiles chat = Open("chat");
  EXPECT_EQ(chat.end_of_text, 0u);
  EXPECT_THAT(chat.stops, ElementsAre(0, 2));
  const TokenizerFiles unigram = Open("unigram/tokenizer.model");
  EXPECT_EQ(unigram.end_of_text, 2u);
  EXPECT_NE(unigram.xxh3_128, gpt2.xxh3_128);
  const auto bytes = OpenTokenizer("bytes");
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(bytes->end_of_text, std::nullopt);
  EXPECT_THAT(bytes->xxh3_128, ElementsAre(0, 0));
}

class OwnFolder : public testing::Test {
 protected:
  OwnFolder() : folder_(testing::TempDir() + "/tokenizer") {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void Put(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
  }
  std::string Error(const std::string& name) {
    return std::string(OpenTokenizer(folder_ + name).status().message());
  }
  const std::string folder_;
};

TEST_F(OwnFolder, ErrorsNameTheFile) {
  EXPECT_THAT(Error(""), HasSubstr("tokenizer: holds no tokenizer.json and no tokenizer.model"));
  EXPECT_THAT(Error("/missing.json"), HasSubstr("missing.json"));
  Put("tokenizer.json", "{\"model\": 1");
  EXPECT_THAT(Error(""), HasSubstr("tokenizer/tokenizer.json: "));
  Put("bad.model", "no model");
  EXPECT_THAT(Error("/bad.model"), HasSubstr("bad.model: is no model of SentencePiece"));
  Put("tokenizer.json", Contents(kGolden + "gpt2/tokenizer.json"));
  Put("tokenizer_config.json", "[]");
  EXPECT_THAT(Error(""), HasSubstr("tokenizer_config.json: is no object"));
  Put("tokenizer_config.json", R"({"chat_template": "{% for %}"})");
  EXPECT_THAT(Error(""), HasSubstr("syntax error"));
}

// Truncation and padding are how transformers makes batches; a document has all of its tokens.
// Merges that drop out at random would be other tokens every time.
TEST_F(OwnFolder, TakesNoPartInBatches) {
  Json json = Json::parse(Contents(kGolden + "gpt2/tokenizer.json"));
  json["truncation"] = {
      {"direction", "Right"}, {"max_length", 2}, {"strategy", "LongestFirst"}, {"stride", 0}};
  json["padding"] = {{"strategy", {{"Fixed", 50}}},
                     {"direction", "Right"},
                     {"pad_to_multiple_of", nullptr},
                     {"pad_id", 0},
                     {"pad_type_id", 0},
                     {"pad_token", "<|endoftext|>"}};
  Put("tokenizer.json", json.dump());
  const auto files = OpenTokenizer(folder_);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(Encode(files->tokenizer(), "Hello, world!"),
            Encode(Open("gpt2").tokenizer(), "Hello, world!"));
  json["model"]["dropout"] = 0.1;
  Put("tokenizer.json", json.dump());
  EXPECT_THAT(Error(""), HasSubstr("drop out"));
}

TEST_F(OwnFolder, AnUnknownExpressionIsNotCut) {
  Json json = Json::parse(Contents(kGolden + "llama3/tokenizer.json"));
  json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "\\w+\\s*|.";
  Put("tokenizer.json", json.dump());
  const auto files = OpenTokenizer(folder_);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->tokenizer().cuts(), Cuts::kNowhere);
}

}  // namespace
}  // namespace waferstream
