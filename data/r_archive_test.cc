#include "data/r_archive.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdint>

namespace waferstream {
namespace {

std::string Int(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

constexpr uint32_t kAsciiString = 0x00040009;
constexpr uint32_t kUtf8String = 0x00008009;
constexpr uint32_t kLatin1String = 0x00004009;

std::string Header3() {
  return "X\n" + Int(3) + Int(0x00040201) + Int(0x00030500) + Int(5) + "UTF-8";
}

std::string Element(uint32_t flags, const std::string& text) {
  return Int(flags) + Int(static_cast<uint32_t>(text.size())) + text;
}

std::string Two() {
  return Int(2) + Element(kAsciiString, "EMMA") + Element(kUtf8String, "na\xC3\xAFve");
}

std::string Pack(const std::string& record) {
  uLongf bytes = compressBound(record.size());
  std::string packed(bytes, '\0');
  compress(reinterpret_cast<Bytef*>(packed.data()), &bytes,
           reinterpret_cast<const Bytef*>(record.data()), record.size());
  packed.resize(bytes);
  return Int(static_cast<uint32_t>(record.size())) + packed;
}

TEST(RArchiveTest, ReadsBothVersionsAndIgnoresAttributes) {
  const std::vector<std::string> expected = {"EMMA", "na\xC3\xAFve"};
  EXPECT_EQ(*ParseStrings(Header3() + Int(0x10) + Two()), expected);
  EXPECT_EQ(*ParseStrings("X\n" + Int(2) + Int(0) + Int(0) + Int(0x10) + Two()), expected);
  EXPECT_EQ(*ParseStrings(Header3() + Int(0x210) + Two() + "a pairlist of attributes"), expected);
}

TEST(RArchiveTest, SaysWhatIsWrongWithARecord) {
  const auto error = [](const std::string& record) {
    return std::string(ParseStrings(record).status().message());
  };
  EXPECT_EQ(error("A\n"), "is not in R's XDR format");
  EXPECT_EQ(error("X\n" + Int(4) + Int(0) + Int(0)), "serialisation version 4");
  EXPECT_EQ(error(Header3() + Int(13)), "is of R type 13, not a character vector");
  EXPECT_EQ(error(Header3() + Int(0x10) + Int(1) + Int(kAsciiString) + Int(0xFFFFFFFF)),
            "holds a missing value");
  EXPECT_EQ(error(Header3() + Int(0x10) + Int(1) + Element(kLatin1String, "na\xEFve")),
            "holds a string that is neither ASCII nor UTF-8");
  EXPECT_EQ(error(Header3() + Int(0x10) + Int(1) + Int(13)),
            "holds an element of R type 13 instead of a string");
}

// Cut anywhere, a record is refused and never read beyond.
TEST(RArchiveTest, RefusesARecordCutAnywhere) {
  const std::string whole = Header3() + Int(0x10) + Two();
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    EXPECT_FALSE(ParseStrings(std::string_view(whole).substr(0, bytes)).ok()) << bytes;
  }
  EXPECT_TRUE(ParseStrings(whole).ok());
}

TEST(RArchiveTest, UnpacksRecordsOneAfterTheOther) {
  EXPECT_EQ(*UnpackRecords(Pack("first") + Pack("the second")),
            (std::vector<std::string>{"first", "the second"}));
  EXPECT_TRUE(UnpackRecords("")->empty());
}

TEST(RArchiveTest, NamesTheDamagedRecord) {
  const auto error = [](const std::string& file) {
    return std::string(UnpackRecords(file).status().message());
  };
  const std::string good = Pack("first"), next = Pack("the second");
  EXPECT_EQ(error(good + next.substr(0, next.size() - 3)),
            "record 1 does not unpack to its length");
  EXPECT_EQ(error(Int(4) + good.substr(4)), "record 0 does not unpack to its length");
  EXPECT_EQ(error(Int(6) + good.substr(4)), "record 0 does not unpack to its length");
  EXPECT_EQ(error(good + "ab"), "record 1 is cut off");
  EXPECT_EQ(error(Int(0xFFFFFFFF)), "record 0 has an impossible length");
}

}  // namespace
}  // namespace waferstream
