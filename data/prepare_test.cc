#include "data/prepare.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "base/worker_pool.h"
#include "checkpoint/posix_disk.h"
#include "data/learn.h"
#include "data/prepare_tokens.h"
#include "data/token_file.h"
#include "data/token_writer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace waferstream {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string kGolden = "tests/golden/tokens/";

std::string Contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class PrepareTest : public testing::Test {
 protected:
  PrepareTest() {
    fs::remove_all(dir_);
    fs::create_directories(dir_);
    options_.out = In("out.bin");
    Use("gpt2");
  }
  std::string In(const std::string& name) const { return dir_ + "/" + name; }
  void Put(const std::string& name, const std::string& text) {
    fs::create_directories(fs::path(In(name)).parent_path());
    std::ofstream(In(name), std::ios::binary) << text;
  }
  void Use(const std::string& name) {
    auto files = OpenTokenizer(name == "bytes" ? name : kGolden + name);
    ASSERT_TRUE(files.ok()) << files.status();
    tokenizer_ = *std::move(files);
    options_.encoder.end_of_text = tokenizer_.end_of_text;
  }
  absl::StatusOr<Prepared> Prepare(const std::vector<std::string>& names, int threads = 2) {
    std::vector<std::string> paths;
    for (const std::string& name : names) paths.push_back(name[0] == '/' ? name : In(name));
    const auto inputs = FindInputs(paths);
    if (!inputs.ok()) return inputs.status();
    if (!IsText(inputs->front().kind)) {
      tokens_.out = options_.out;
      tokens_.overwrite = options_.overwrite;
      return PrepareTokens(PosixDisk(), *inputs, tokens_, {});
    }
    WorkerPool workers(threads);
    return PrepareText(PosixDisk(), *inputs, tokenizer_, options_, workers, {});
  }
  std::string Error(const std::vector<std::string>& names) {
    const std::string error(Prepare(names).status().message());
    for (const auto& entry : fs::directory_iterator(dir_)) {
      EXPECT_THAT(entry.path().string(), testing::Not(HasSubstr("out.bin")));
    }
    return error;
  }
  // Marked tokens of out.bin, as everybody else reads it.
  std::vector<uint32_t> Tokens(bool marked = false) {
    const auto file = TokenFile::Open(PosixDisk(), options_.out);
    EXPECT_TRUE(file.ok()) << file.status();
    std::vector<uint32_t> tokens((*file)->size());
    EXPECT_TRUE((marked ? (*file)->CopyMarked(0, tokens) : (*file)->CopyTokens(0, tokens)).ok());
    return tokens;
  }
  void Append(const std::string& text, std::vector<uint32_t>& tokens) {
    ASSERT_TRUE(tokenizer_.tokenizer().Encode(text, tokens).ok());
  }

  const std::string dir_ = testing::TempDir() + "/prepare";
  TokenizerFiles tokenizer_;
  PrepareOptions options_;
  TokensOptions tokens_;
};

TEST_F(PrepareTest, DocumentsEndWithTheirToken) {
  Put("a.txt", "Hello\r\n");
  Put("b.jsonl",
      "{\"text\": \"one\\ntwo\"}\n\n {\"text\": \"\", \"x\": 1}\n{\"text\": \"\\ud83d\\ude00\"}");
  const auto prepared = Prepare({"a.txt", "b.jsonl"});
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  std::vector<uint32_t> expected;
  for (const std::string text : {"Hello\r\n", "one\ntwo", "\U0001F600"}) {
    Append(text, expected);
    expected.push_back(0);
  }
  EXPECT_EQ(Tokens(), expected);
  const std::string written = Contents(options_.out);
  const auto header = HeaderIn(std::as_bytes(std::span(written)));
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->documents, 3u);
  EXPECT_EQ(header->tokens, expected.size());
  EXPECT_EQ(header->vocab, 480u);
  EXPECT_EQ(header->end_of_text, 0u);
  EXPECT_EQ(header->token_bytes, 2u);
  EXPECT_EQ(header->flags, 0u);
  EXPECT_EQ(header->tokenizer[0], tokenizer_.xxh3_128[0]);
  EXPECT_EQ(header->tokenizer[1], tokenizer_.xxh3_128[1]);
  EXPECT_EQ(prepared->with_end_inside, 0u);
}

// A text of many pieces and rounds, read by one thread or four, is the text encoded at once.
TEST_F(PrepareTest, IsTheSameForAnyNumberOfThreads) {
  std::string text, lines;
  for (int i = 0; text.size() < (2 << 20); ++i) {
    const std::string line =
        absl::StrCat("Line ", i * i, " it's  überall\t重み \U0001F600  ", i % 7);
    absl::StrAppend(&text, line, i % 5 == 0 ? "\n\n" : "\n", i % 3 == 0 ? "" : "  ");
    absl::StrAppend(&lines, Json{{"text", line + "\nnext"}}.dump(), "\n");
  }
  Put("t.txt", text);
  Put("l.jsonl", lines);
  for (const std::string name : {"qwen", "bytes"}) {
    Use(name);
    std::string first;
    for (const int threads : {1, 4}) {
      options_.overwrite = true;
      ASSERT_TRUE(Prepare({"t.txt", "l.jsonl"}, threads).ok());
      const std::string bytes = Contents(options_.out);
      if (first.empty()) first = bytes;
      EXPECT_EQ(bytes, first) << name << " " << threads;
    }
    std::vector<uint32_t> expected;
    Append(text, expected);
    const std::vector<uint32_t> tokens = Tokens();
    ASSERT_GT(tokens.size(), expected.size());
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), tokens.begin())) << name;
  }
}

TEST_F(PrepareTest, RowsOfEveryCodecAreDocuments) {
  std::vector<uint32_t> expected;
  for (const std::string text : Json::parse(Contents(kGolden + "cases.json"))) {
    if (text.empty()) continue;
    Append(text, expected);
    expected.push_back(0);
  }
  options_.overwrite = true;
  for (const char* codec : {"none", "snappy", "gzip", "zstd", "lz4", "brotli"}) {
    const std::string path = fs::absolute(absl::StrCat(kGolden, "rows_", codec, ".parquet"));
    const auto prepared = Prepare({path});
    ASSERT_TRUE(prepared.ok()) << prepared.status();
    EXPECT_EQ(Tokens(), expected) << codec;
    // Three of the cases have the token in their text.
    EXPECT_EQ(prepared->with_end_inside, 3u);
  }
}

TEST_F(PrepareTest, ConversationsAreMasked) {
  Use("chat");
  options_.encoder.chat = true;
  const std::string path = fs::absolute(kGolden + "chat.jsonl");
  ASSERT_TRUE(Prepare({path}).ok());
  std::vector<uint32_t> expected;
  const Json golden = Json::parse(Contents(kGolden + "chat.json"));
  for (const Json& one : golden["chat"]) {
    for (size_t i = 0; i < one[0].size(); ++i) {
      expected.push_back(one[0][i].get<uint32_t>() | (one[1][i] == 1 ? 0 : MaskBit(2)));
    }
    expected.push_back(0 | MaskBit(2));
  }
  EXPECT_EQ(Tokens(/*marked=*/true), expected);
}

TEST_F(PrepareTest, AFolderIsItsFilesByName) {
  Put("f/b.txt", "b");
  Put("f/a/z.txt", "z");
  Put("f/c.md", "c");
  Use("bytes");
  ASSERT_TRUE(Prepare({"f"}).ok());
  EXPECT_THAT(Tokens(), ElementsAre('z', 'b'));
}

TEST_F(PrepareTest, AByteOrderMarkIsTextAndNoJson) {
  Put("a.txt",
      "\xEF\xBB\xBF"
      "a");
  Put("b.jsonl", "\xEF\xBB\xBF{\"text\": \"b\"}");
  ASSERT_TRUE(Prepare({"a.txt", "b.jsonl"}).ok());
  std::vector<uint32_t> expected;
  Append(
      "\uFEFF"
      "a",
      expected);
  expected.push_back(0);
  Append("b", expected);
  expected.push_back(0);
  EXPECT_EQ(Tokens(), expected);
}

TEST_F(PrepareTest, ErrorsNameFileAndLine) {
  Put("bad.txt", "one\ntwo\xFF\n");
  EXPECT_THAT(Error({"bad.txt"}), HasSubstr("bad.txt:2: is not UTF-8"));
  // Behind what other threads do, too.
  std::string far;
  for (int i = 0; i < 40000; ++i) absl::StrAppend(&far, "line of text\n");
  Put("far.txt", far + "\xC3");
  EXPECT_THAT(Error({"far.txt"}), HasSubstr("far.txt:40001: is not UTF-8"));
  Put("a.jsonl", "{\"text\": \"a\"}\n\n{\"txt\": \"b\"}\n");
  EXPECT_THAT(Error({"a.jsonl"}), HasSubstr("a.jsonl:3: no field \"text\""));
  Put("b.jsonl", "{\"text\": 1}");
  EXPECT_THAT(Error({"b.jsonl"}), HasSubstr("b.jsonl:1: field \"text\" is no text"));
  Put("c.jsonl", "{\"text\": \"a\"}\n{\"text\": ");
  EXPECT_THAT(Error({"c.jsonl"}), HasSubstr("c.jsonl:2: is not JSON"));
  Put("d.jsonl", "{\"text\": \"\xFF\"}");
  EXPECT_THAT(Error({"d.jsonl"}), HasSubstr("d.jsonl:1: is not UTF-8"));
  Put("e.parquet", "PAR1");
  EXPECT_THAT(Error({"e.parquet"}), HasSubstr("e.parquet: "));
  Put("empty.txt", "");
  EXPECT_THAT(Error({"empty.txt"}), HasSubstr("no tokens"));
  EXPECT_THAT(Error({"missing.txt"}), HasSubstr("missing.txt: No such file"));
  Put("a.md", "a");
  EXPECT_THAT(Error({"a.md"}), HasSubstr("a.md: what it holds is told by its ending"));
  fs::create_directories(In("nothing"));
  EXPECT_THAT(Error({"nothing"}), HasSubstr("nothing: holds no .txt"));
  Put("t.bin", "ab");
  EXPECT_THAT(Error({"bad.txt", "t.bin"}), HasSubstr("t.bin: text and tokens do not go"));
  const std::string parquet = fs::absolute(kGolden + "rows_none.parquet");
  options_.encoder.field = "note";
  EXPECT_THAT(Error({parquet}), HasSubstr("rows_none.parquet: field \"note\": is no text"));
  options_.encoder.field = "body";
  EXPECT_THAT(Error({parquet}), HasSubstr("no field \"body\"; there are id, text, note"));
  // Bytes are taken as they are.
  Use("bytes");
  EXPECT_TRUE(Prepare({"bad.txt"}).ok());
}

TEST_F(PrepareTest, WhatIsThereStaysUnlessItMayBeReplaced) {
  Put("a.txt", "a");
  Put("out.bin", "x");
  EXPECT_EQ(Prepare({"a.txt"}).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Contents(options_.out), "x");
  options_.overwrite = true;
  Put("bad.txt", "\xFF");
  EXPECT_FALSE(Prepare({"bad.txt"}).ok());
  EXPECT_EQ(Contents(options_.out), "x");
  EXPECT_TRUE(Prepare({"a.txt"}).ok());
  EXPECT_NE(Contents(options_.out), "x");
}

TEST_F(PrepareTest, ADocumentThatCannotBeCutHasABound) {
  Put("long.txt", std::string(TextSource::kDocumentBytesMax + 100000, 'a'));
  EXPECT_THAT(Error({"long.txt"}),
              HasSubstr("long.txt:1: from here on there is no place to cut it"));
}

TEST_F(PrepareTest, AnInterruptLeavesNothing) {
  Put("a.txt", "a");
  WorkerPool workers(1);
  const auto inputs = FindInputs({In("a.txt")});
  ASSERT_TRUE(inputs.ok());
  const auto prepared =
      PrepareText(PosixDisk(), *inputs, tokenizer_, options_, workers,
                  [](uint64_t, uint64_t) { return absl::CancelledError("interrupted"); });
  EXPECT_EQ(prepared.status().code(), absl::StatusCode::kCancelled);
  for (const auto& entry : fs::directory_iterator(dir_)) {
    EXPECT_EQ(entry.path().filename(), "a.txt");
  }
}

template <typename Value>
void Write(std::string& out, Value value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

// As Megatron-LM's preprocess_data.py writes a pair, by its description: sequences of which each is
// a document, int32.
TEST_F(PrepareTest, MegatronsPairs) {
  std::string bin, idx = std::string("MMIDIDX\0\0", 9);
  for (const int32_t token : {5, 6, 7, 8, 9, 0}) Write(bin, token);
  Write(idx, uint64_t{1});
  Write(idx, uint8_t{4});
  Write(idx, uint64_t{2});
  Write(idx, uint64_t{3});
  for (const int32_t length : {4, 2}) Write(idx, length);
  for (const int64_t place : {0, 16}) Write(idx, place);
  for (const int64_t first : {0, 1, 2}) Write(idx, first);
  Put("m.bin", bin);
  Put("m.idx", idx);
  tokens_.end_of_text = 0;
  auto prepared = Prepare({"m.idx"});
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  // The second has its end already.
  EXPECT_THAT(Tokens(), ElementsAre(5, 6, 7, 8, 0, 9, 0));
  EXPECT_EQ(prepared->header.documents, 2u);
  EXPECT_EQ(prepared->header.vocab, 10u);
  EXPECT_EQ(prepared->header.token_bytes, 2u);
  fs::remove(options_.out);
  tokens_.vocab = 9;
  EXPECT_THAT(Error({"m.bin"}), HasSubstr("m.bin: token 4 is 9; the vocabulary is 9"));
  Put("m.idx", idx.substr(0, idx.size() - 1));
  EXPECT_THAT(Error({"m.bin"}), HasSubstr("m.idx: promises 2 sequences"));
  idx[17] = 6;
  Put("m.idx", idx);
  EXPECT_THAT(Error({"m.bin"}), HasSubstr("m.idx: tokens of type 6"));
}

TEST_F(PrepareTest, TokenFilesOfEverySort) {
  Put("a.txt", "Hello");
  ASSERT_TRUE(Prepare({"a.txt"}).ok());
  const std::vector<uint32_t> ours = Tokens();
  fs::rename(options_.out, In("ours.bin"));
  auto prepared = Prepare({"ours.bin", "ours.bin"});
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  std::vector<uint32_t> twice = ours;
  twice.insert(twice.end(), ours.begin(), ours.end());
  EXPECT_EQ(Tokens(), twice);
  EXPECT_EQ(prepared->header.vocab, 480u);
  EXPECT_EQ(prepared->header.documents, 2u);
  EXPECT_EQ(prepared->header.tokenizer[0], tokenizer_.xxh3_128[0]);
  std::string raw;
  for (const uint16_t token : {1, 2, 3}) Write(raw, token);
  Put("raw.bin", raw);
  fs::remove(options_.out);
  prepared = Prepare({"raw.bin"});
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  EXPECT_THAT(Tokens(), ElementsAre(1, 2, 3));
  EXPECT_EQ(prepared->header.vocab, 4u);
  fs::remove(options_.out);
  EXPECT_THAT(Error({"ours.bin", "raw.bin"}),
              HasSubstr("raw.bin: was made with another tokenizer"));
  std::string llmc(1024, '\0');
  const int32_t head[] = {20240801, 7, 2};
  std::memcpy(llmc.data(), head, sizeof(head));
  for (const uint32_t token : {70000, 1}) Write(llmc, token);
  Put("llmc.bin", llmc);
  prepared = Prepare({"llmc.bin"});
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  EXPECT_EQ(prepared->header.token_bytes, 4u);
  EXPECT_THAT(Tokens(), ElementsAre(70000, 1));
}

TEST_F(PrepareTest, MasksStay) {
  Use("chat");
  options_.encoder.chat = true;
  ASSERT_TRUE(Prepare({fs::absolute(kGolden + "chat.jsonl")}).ok());
  const std::vector<uint32_t> marked = Tokens(/*marked=*/true);
  fs::rename(options_.out, In("masked.bin"));
  ASSERT_TRUE(Prepare({"masked.bin"}).ok());
  EXPECT_EQ(Tokens(/*marked=*/true), marked);
}

TEST(TokenBytes, AsTheVocabularyNeeds) {
  EXPECT_EQ(TokenBytesFor(1 << 16, false), 2u);
  EXPECT_EQ(TokenBytesFor((1 << 16) + 1, false), 4u);
  EXPECT_EQ(TokenBytesFor(1 << 15, true), 2u);
  EXPECT_EQ(TokenBytesFor((1 << 15) + 1, true), 4u);
}

TEST_F(PrepareTest, LearnsTheSameFromTheSame) {
  std::string text;
  for (int i = 0; text.size() < (1 << 20); ++i) {
    absl::StrAppend(&text, "the weather of ", i % 97, " was better than yesterday's\n");
  }
  Put("t.txt", text);
  const auto inputs = FindInputs({In("t.txt")});
  LearnOptions options;
  options.vocab = 300;
  const auto first = LearnTokenizer(PosixDisk(), *inputs, options, {});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(*LearnTokenizer(PosixDisk(), *inputs, options, {}), *first);
  fs::create_directories(In("learnt"));
  ASSERT_TRUE(WriteTokenizerFiles(PosixDisk(), In("learnt"), *first, options.end_of_text).ok());
  auto files = OpenTokenizer(In("learnt"));
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->tokenizer().vocab(), 300u);
  EXPECT_EQ(files->end_of_text, 0u);
  EXPECT_EQ(files->tokenizer().cuts(), Cuts::kLines);
  std::vector<uint32_t> tokens;
  const std::string sample = "yesterday's weather\n\xF0\x9F\x98\x80";
  ASSERT_TRUE(files->tokenizer().Encode(sample, tokens).ok());
  EXPECT_LT(tokens.size(), sample.size() / 2);
  EXPECT_EQ(*files->tokenizer().Decode(tokens), sample);
  Put("bad.txt", "a\n\xFF");
  const auto bad = LearnTokenizer(PosixDisk(), *FindInputs({In("bad.txt")}), options, {});
  EXPECT_THAT(std::string(bad.status().message()), HasSubstr("bad.txt:2: is not UTF-8"));
}

}  // namespace
}  // namespace waferstream
