#include "data/token_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "checkpoint/memory_disk.h"
#include "checkpoint/posix_disk.h"

namespace waferstream {
namespace {

std::string Write(const std::string& name, const std::string& bytes) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

std::string Tokens(const std::vector<uint32_t>& ids, int bytes = 2) {
  std::string all;
  for (const uint32_t id : ids) all.append(reinterpret_cast<const char*>(&id), bytes);
  return all;
}

std::string LlmcHeader(int32_t version, int32_t count, int32_t magic = 20240520) {
  std::string header(1024, '\0');
  const int32_t fields[] = {magic, version, count};
  header.replace(0, sizeof(fields), reinterpret_cast<const char*>(fields), sizeof(fields));
  return header;
}

std::vector<uint32_t> ReadAll(const TokenFile& file) {
  std::vector<uint32_t> ids(file.size());
  EXPECT_TRUE(file.CopyTokens(0, ids).ok());
  return ids;
}

std::string OpenError(const std::string& path) {
  return std::string(TokenFile::Open(PosixDisk(), path).status().message());
}

TEST(TokenFileTest, ReadsTheThreeFormats) {
  const std::vector<uint32_t> ids = {7, 0, 65535, 300};
  EXPECT_EQ(ReadAll(**TokenFile::Open(PosixDisk(), Write("plain.bin", Tokens(ids)))), ids);
  EXPECT_EQ(
      ReadAll(**TokenFile::Open(PosixDisk(), Write("llmc.bin", LlmcHeader(1, 4) + Tokens(ids)))),
      ids);
  const std::vector<uint32_t> bytes = {'h', 'i', 0xC3};
  EXPECT_EQ(ReadAll(**TokenFile::Open(PosixDisk(), Write("text.txt", "hi\xC3"))), bytes);
}

TEST(TokenFileTest, AVocabularyAbove65536HasWiderTokens) {
  const std::vector<uint32_t> ids = {7, 0, 65536, 1'000'000, 300};
  const std::string plain = Write("wide.bin", Tokens(ids, 4));
  const auto file = *TokenFile::Open(PosixDisk(), plain, 1 << 20);
  EXPECT_EQ(ReadAll(*file), ids);
  EXPECT_TRUE(file->CheckVocabulary(1'000'001).ok());
  EXPECT_THAT(std::string(file->CheckVocabulary(1'000'000).message()),
              testing::HasSubstr("token 3 is 1000000"));
  const std::string named = Write("wide_llmc.bin", LlmcHeader(7, 5, 20240801) + Tokens(ids, 4));
  EXPECT_EQ(ReadAll(**TokenFile::Open(PosixDisk(), named)), ids) << "whatever the vocabulary";
  EXPECT_THAT(std::string(TokenFile::Open(PosixDisk(), Write("odd_wide.bin", "abcdef"), 1 << 20)
                              .status()
                              .message()),
              testing::HasSubstr("6 bytes are no multiple of 4; tokens are uint32"));
}

TEST(TokenFileTest, CopiesFromTheMiddle) {
  const auto file = *TokenFile::Open(PosixDisk(), Write("middle.bin", Tokens({1, 2, 3, 4, 5})));
  std::vector<uint32_t> two(2);
  EXPECT_TRUE(file->CopyTokens(3, two).ok());
  EXPECT_EQ(two, (std::vector<uint32_t>{4, 5}));
  EXPECT_DEATH(file->CopyTokens(4, two).IgnoreError(), "count <= tokens_ - first");
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
      {Write("odd.bin", "abc"), "3 bytes are no multiple of 2; tokens are uint16"},
      {Write("x.parquet", "ab"), "ends in .bin"},
      {Write("cut.bin", LlmcHeader(1, 4).substr(0, 100)), "cut off inside its llm.c header"},
      {Write("short.bin", LlmcHeader(1, 4) + "ab"), "promises 4 tokens (8 bytes), but 2 bytes"},
      {Write("long.bin", LlmcHeader(1, 1) + "abcd"), "promises 1 tokens (2 bytes), but 4 bytes"},
      {Write("none.bin", LlmcHeader(1, 0)), "promises 0 tokens"},
      {Write("negative.bin", LlmcHeader(1, -1) + "ab"), "promises -1 tokens"},
      {Write("v7.bin", LlmcHeader(7, 1) + "ab"), "llm.c version 7 with magic 20240520"},
  };
  for (const Case& c : cases) {
    const std::string error = OpenError(c.path);
    EXPECT_NE(error.find(c.reason), std::string::npos) << error;
    EXPECT_EQ(error.find(c.path), 0u) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
}

// Three chunks and a bit, in each format: every place where one begins or ends.
TEST(TokenFileTest, CopiesAcrossChunks) {
  std::vector<uint32_t> ids(3 * TokenFile::kChunkBytes / 2 + 5);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<uint16_t>(i * 7919);
  std::string text(3 * TokenFile::kChunkBytes + 5, '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31);
  for (const std::string& path :
       {Write("chunks.bin", Tokens(ids)),
        Write("chunks_llmc.bin", LlmcHeader(1, static_cast<int32_t>(ids.size())) + Tokens(ids)),
        Write("chunks.txt", text)}) {
    const auto file = *TokenFile::Open(PosixDisk(), path);
    const std::vector<uint32_t> all = ReadAll(*file);
    if (path.back() == 'n') {
      EXPECT_EQ(all, ids);
    }
    std::vector<uint32_t> some(TokenFile::kChunkBytes / 2 + 3);
    for (int64_t first = 0; first + static_cast<int64_t>(some.size()) <= file->size();
         first += 509) {
      ASSERT_TRUE(file->CopyTokens(first, some).ok());
      ASSERT_TRUE(std::equal(some.begin(), some.end(), all.begin() + first)) << path << first;
    }
  }
}

TEST(TokenFileTest, AFileThatIsNoLongerWhatItWasIsAnErrorOfTheReadThatMeetsIt) {
  struct Case {
    const char* how;
    std::function<void(const std::string& path)> spoil;
    const char* what;
  };
  const size_t second = TokenFile::kChunkBytes + 100;
  const auto overwrite = [](const std::string& path, size_t at) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(at));
    file.put('\x55');
  };
  const std::vector<Case> cases = {
      {"a byte", [&](auto& path) { overwrite(path, second); },
       "was changed while the job reads it: bytes 16384 to 32768"},
      {"the end", [&](auto& path) { std::filesystem::resize_file(path, second); },
       "is shorter than the 49152 bytes that it had when it was opened"},
      {"all", [&](auto& path) { std::filesystem::resize_file(path, 0); },
       "is shorter than the 49152 bytes"},
      {"all, and longer",
       [&](auto& path) { std::ofstream(path, std::ios::binary) << std::string(100'000, 'x'); },
       "was changed while the job reads it"},
  };
  for (const Case& c : cases) {
    const std::string path = Write("spoilt.bin", std::string(3 * TokenFile::kChunkBytes, '\1'));
    const auto file = *TokenFile::Open(PosixDisk(), path);
    EXPECT_TRUE(file->IsAsOpened());
    c.spoil(path);
    EXPECT_FALSE(file->IsAsOpened()) << c.how;
    std::vector<uint32_t> tokens(10);
    const absl::Status read = file->CopyTokens(TokenFile::kChunkBytes / 2 + 50, tokens);
    EXPECT_EQ(read.code(), absl::StatusCode::kDataLoss) << c.how;
    EXPECT_NE(read.message().find(c.what), std::string::npos) << c.how << ": " << read.message();
    EXPECT_EQ(read.message().find(path), 0u) << read.message();
  }
}

// An editor writes a new file and renames it: who has the old one open goes on with that.
TEST(TokenFileTest, AFileThatIsReplacedStaysReadable) {
  const std::string path = Write("replaced.txt", "old");
  const auto file = *TokenFile::Open(PosixDisk(), path);
  std::filesystem::rename(Write("new.txt", "new"), path);
  EXPECT_FALSE(file->IsAsOpened());
  EXPECT_EQ(ReadAll(*file), (std::vector<uint32_t>{'o', 'l', 'd'}));
}

TEST(TokenFileTest, OnceAReadHasDisagreedItIsNotAsOpened) {
  const std::string path = Write("healed.txt", "abc");
  const auto file = *TokenFile::Open(PosixDisk(), path);
  const auto times = std::filesystem::last_write_time(path);
  Write("healed.txt", "abd");
  std::vector<uint32_t> three(3);
  EXPECT_FALSE(file->CopyTokens(0, three).ok());
  Write("healed.txt", "abc");
  std::filesystem::last_write_time(path, times);
  EXPECT_FALSE(file->IsAsOpened());
}

// A disk that fails may work again; the file is what it was.
TEST(TokenFileTest, ADiskThatFailsIsNoChangeOfTheFile) {
  MemoryDisk tree(0);
  MemoryDisk::View healthy(tree);
  ASSERT_TRUE(WriteSmallFile(healthy, "/a.txt", "abc").ok());
  bool fails = false;
  MemoryDisk::View disk(tree, [&](DiskOp, const std::string&) -> DiskFault {
    if (fails) return {absl::UnknownError("input/output error"), 0};
    return {};
  });
  const auto file = *TokenFile::Open(disk, "/a.txt");
  fails = true;
  std::vector<uint32_t> three(3);
  EXPECT_EQ(file->CopyTokens(0, three).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(TokenFile::Open(disk, "/a.txt").status().code(), absl::StatusCode::kUnavailable);
  fails = false;
  EXPECT_TRUE(file->IsAsOpened());
  EXPECT_EQ(ReadAll(*file), (std::vector<uint32_t>{'a', 'b', 'c'}));
  EXPECT_EQ(TokenFile::Open(disk, "/b.txt").status().code(), absl::StatusCode::kInvalidArgument);
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
  std::vector<uint32_t> ids(100'000, 3);
  ids[70'000] = 50;
  ids[70'001] = 60;
  const auto file = *TokenFile::Open(PosixDisk(), Write("vocab.bin", Tokens(ids)));
  EXPECT_TRUE(file->CheckVocabulary(61).ok());
  const std::string error(file->CheckVocabulary(50).message());
  EXPECT_NE(error.find("vocab.bin: token 70000 is 50; the model's vocab is 50"), std::string::npos)
      << error;
}

TEST(TokenFileTest, CountsSamplesWithTheirLastTarget) {
  const auto file = *TokenFile::Open(PosixDisk(), Write("samples.txt", "0123456789"));
  EXPECT_EQ(*file->Samples(3), 3);
  EXPECT_EQ(*file->Samples(9), 1);
  const std::string error(file->Samples(10).status().message());
  EXPECT_NE(error.find("10 tokens are too few for one sample of context 10 + 1"), std::string::npos)
      << error;
}

TEST(TokenFileTest, TheContentIsTheBytes) {
  const auto content = [](const std::string& bytes) {
    return (*TokenFile::Open(PosixDisk(), Write("content.txt", bytes)))->content();
  };
  const DataContent abc = content("abc");
  EXPECT_EQ(abc.bytes(), 3u);
  EXPECT_EQ(abc.tokens(), 3u);
  EXPECT_EQ(abc.xxh3_128(), "06b05ab6733a618578af5f94892f3950");  // of xxhsum -H2
  EXPECT_EQ(content("abc").xxh3_128(), abc.xxh3_128());
  EXPECT_NE(content("abd").xxh3_128(), abc.xxh3_128());
  // Every byte counts, wherever it is in a file of many chunks.
  std::string large(5 * TokenFile::kChunkBytes + 3, 'a');
  const std::string before = content(large).xxh3_128();
  for (size_t at = 7; at < large.size(); at += TokenFile::kChunkBytes) {
    large[at] = 'b';
    EXPECT_NE(content(large).xxh3_128(), before) << at;
    large[at] = 'a';
  }
}

}  // namespace
}  // namespace waferstream
