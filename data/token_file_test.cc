#include "data/token_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace waferstream {
namespace {

std::string Write(const std::string& name, const std::string& bytes) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

std::string Tokens(const std::vector<uint16_t>& ids) {
  return {reinterpret_cast<const char*>(ids.data()), ids.size() * 2};
}

std::string LlmcHeader(int32_t version, int32_t count) {
  std::string header(1024, '\0');
  const int32_t fields[] = {20240520, version, count};
  header.replace(0, sizeof(fields), reinterpret_cast<const char*>(fields), sizeof(fields));
  return header;
}

std::vector<uint16_t> ReadAll(const TokenFile& file) {
  std::vector<uint16_t> ids(file.size());
  file.CopyTokens(0, ids);
  return ids;
}

std::string OpenError(const std::string& path) {
  return std::string(TokenFile::Open(path).status().message());
}

TEST(TokenFileTest, ReadsTheThreeFormats) {
  const std::vector<uint16_t> ids = {7, 0, 65535, 300};
  EXPECT_EQ(ReadAll(**TokenFile::Open(Write("plain.bin", Tokens(ids)))), ids);
  EXPECT_EQ(ReadAll(**TokenFile::Open(Write("llmc.bin", LlmcHeader(1, 4) + Tokens(ids)))), ids);
  const std::vector<uint16_t> bytes = {'h', 'i', 0xC3};
  EXPECT_EQ(ReadAll(**TokenFile::Open(Write("text.txt", "hi\xC3"))), bytes);
}

TEST(TokenFileTest, CopiesFromTheMiddle) {
  const auto file = *TokenFile::Open(Write("middle.bin", Tokens({1, 2, 3, 4, 5})));
  std::vector<uint16_t> two(2);
  file->CopyTokens(3, two);
  EXPECT_EQ(two, (std::vector<uint16_t>{4, 5}));
  EXPECT_DEATH(file->CopyTokens(4, two), "count <= tokens_ - first");
}

TEST(TokenFileTest, RefusesWithOneLineThatNamesTheFile) {
  struct Case {
    std::string path;
    std::string reason;
  };
  const std::vector<Case> cases = {
      {testing::TempDir() + "/absent.bin", "No such file"},
      {Write("empty.bin", ""), "is empty"},
      {Write("empty.txt", ""), "is empty"},
      {Write("odd.bin", "abc"), "3 bytes are an odd number"},
      {Write("x.parquet", "ab"), "ends in .bin"},
      {Write("cut.bin", LlmcHeader(1, 4).substr(0, 100)), "cut off inside its llm.c header"},
      {Write("short.bin", LlmcHeader(1, 4) + "ab"), "promises 4 tokens (8 bytes), but 2 bytes"},
      {Write("long.bin", LlmcHeader(1, 1) + "abcd"), "promises 1 tokens (2 bytes), but 4 bytes"},
      {Write("none.bin", LlmcHeader(1, 0)), "promises 0 tokens"},
      {Write("negative.bin", LlmcHeader(1, -1) + "ab"), "promises -1 tokens"},
      {Write("v7.bin", LlmcHeader(7, 1) + "ab"), "llm.c version 7"},
  };
  for (const Case& c : cases) {
    const std::string error = OpenError(c.path);
    EXPECT_NE(error.find(c.reason), std::string::npos) << error;
    EXPECT_EQ(error.find(c.path), 0u) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
}

// What else a path can lead to: base/regular_file_test.
TEST(TokenFileTest, RefusesWhatIsNoFile) {
  const std::string folder = testing::TempDir() + "/folder.bin";
  std::filesystem::create_directory(folder);
  EXPECT_NE(OpenError(folder).find("is a folder"), std::string::npos);
  const std::string fifo = testing::TempDir() + "/fifo.txt";
  unlink(fifo.c_str());
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_NE(OpenError(fifo).find("is a FIFO"), std::string::npos);
}

TEST(TokenFileTest, NamesTheFirstTokenOutsideTheVocabulary) {
  std::vector<uint16_t> ids(100'000, 3);
  ids[70'000] = 50;
  ids[70'001] = 60;
  const auto file = *TokenFile::Open(Write("vocab.bin", Tokens(ids)));
  EXPECT_TRUE(file->CheckVocabulary(61).ok());
  const std::string error(file->CheckVocabulary(50).message());
  EXPECT_NE(error.find("vocab.bin: token 70000 is 50; the model's vocab is 50"), std::string::npos)
      << error;
}

TEST(TokenFileTest, CountsSamplesWithTheirLastTarget) {
  const auto file = *TokenFile::Open(Write("samples.txt", "0123456789"));
  EXPECT_EQ(*file->Samples(3), 3);
  EXPECT_EQ(*file->Samples(9), 1);
  const std::string error(file->Samples(10).status().message());
  EXPECT_NE(error.find("10 tokens are too few for one sample of context 10 + 1"), std::string::npos)
      << error;
}

TEST(TokenFileTest, FingerprintNamesTheContent) {
  const auto print = [](const std::string& bytes) {
    return (*TokenFile::Open(Write("print.txt", bytes)))->Fingerprint();
  };
  EXPECT_EQ(print("abc"), print("abc"));
  EXPECT_NE(print("abc"), print("abd"));
  EXPECT_NE(print("abc"), print("abcd"));
}

}  // namespace
}  // namespace waferstream
