#include "checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "checkpoint/test_checkpoint.h"

namespace waferstream {
namespace {

using testing::HasSubstr;

// The bytes of a file with this header text and so many bytes of data.
std::string FileOf(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(data_bytes, '\1');
}

absl::StatusOr<std::vector<TensorInfo>> ReadBytes(const std::string& bytes) {
  const std::string path = absl::StrCat(FreshFolder(), "/x.safetensors");
  RETURN_IF_ERROR(WriteSmallFile(PosixDisk(), path, bytes));
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, PosixDisk().OpenForReading(path));
  return ReadTensorTable(*file);
}

std::string Entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return absl::StrCat("\"", name, "\":{\"dtype\":\"", dtype, "\",\"shape\":", shape,
                      ",\"data_offsets\":", offsets, "}");
}

TEST(Safetensors, ReadsBackWhatItLaysOut) {
  std::vector<TensorInfo> tensors(3);
  tensors[0] = {"a", "F32", {3, 5}, 0, 60};
  tensors[1] = {"b", "BF16", {0}, 0, 0};
  tensors[2] = {"c", "BF16", {7}, 0, 14};
  const std::string header = LayOutTensors(tensors);
  EXPECT_EQ(header.size() % 8, 0u);
  const auto read = ReadBytes(header + std::string(74, '\2'));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ((*read)[i].name, tensors[i].name);
    EXPECT_EQ((*read)[i].dtype, tensors[i].dtype);
    EXPECT_EQ((*read)[i].shape, tensors[i].shape);
    EXPECT_EQ((*read)[i].offset, tensors[i].offset);
    EXPECT_EQ((*read)[i].bytes, tensors[i].bytes);
  }
}

TEST(Safetensors, IgnoresTheOrderOfNamesAndKnowsIntegerTypes) {
  const auto read = ReadBytes(FileOf(
      "{" + Entry("z", "I64", "[1]", "[0,8]") + "," + Entry("a", "BOOL", "[3]", "[8,11]") + "}",
      11));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)[0].name, "z");
}

struct Damage {
  const char* name;
  std::string bytes;
  const char* message;
};

class DamagedFile : public testing::TestWithParam<Damage> {};

TEST_P(DamagedFile, IsRefusedWithOneLine) {
  const auto read = ReadBytes(GetParam().bytes);
  EXPECT_EQ(read.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(read.status().message()), HasSubstr(GetParam().message));
  EXPECT_THAT(std::string(read.status().message()), HasSubstr("x.safetensors"));
}

const std::string kGood = "{" + Entry("w", "F32", "[2]", "[0,8]") + "}";

INSTANTIATE_TEST_SUITE_P(
    All, DamagedFile,
    testing::Values(
        Damage{"Empty", "", "too short"},
        Damage{"HalfALength", std::string("\1\0\0", 3), "too short"},
        Damage{"HugeLength", std::string(8, '\x7f') + kGood, "header length"},
        Damage{"NegativeLength", std::string(8, '\xff') + kGood, "header length"},
        Damage{"HeaderCutOff", FileOf(kGood, 0).substr(0, 20), "header length"},
        Damage{"NotJson", FileOf("{\"w\":", 8), "the header is not JSON"},
        Damage{"NotAnObject", FileOf("[]", 0), "not a JSON object"},
        Damage{"DeeplyNested", FileOf(std::string(200000, '['), 8), "nested deeper"},
        Damage{"SameNameTwice",
               FileOf("{" + Entry("w", "U8", "[1]", "[0,1]") + "," +
                          Entry("w", "U8", "[1]", "[1,2]") + "}",
                      2),
               "has the name \"w\" twice"},
        Damage{"DataCutOff", FileOf(kGood, 7), "'w' ends at byte"},
        Damage{"DataTooLong", FileOf(kGood, 9), "1 bytes follow"},
        Damage{"Backwards", FileOf("{" + Entry("w", "F32", "[2]", "[8,0]") + "}", 8),
               "ends before it begins"},
        Damage{"OffsetOverflow",
               FileOf("{" + Entry("w", "F32", "[2]", "[9223372036854775800,9223372036854775807]") +
                          "}",
                      8),
               "'w' ends at byte"},
        Damage{"NegativeOffset", FileOf("{" + Entry("w", "F32", "[2]", "[-8,0]") + "}", 8),
               "malformed"},
        Damage{"NegativeShape", FileOf("{" + Entry("w", "F32", "[-2]", "[0,8]") + "}", 8),
               "malformed"},
        Damage{"FractionalShape", FileOf("{" + Entry("w", "F32", "[2.5]", "[0,8]") + "}", 8),
               "malformed"},
        Damage{"ThreeOffsets", FileOf("{" + Entry("w", "F32", "[2]", "[0,8,8]") + "}", 8),
               "malformed"},
        Damage{"EntryIsAString", FileOf("{\"w\":\"F32\"}", 0), "malformed"},
        Damage{"WrongShape", FileOf("{" + Entry("w", "F32", "[3]", "[0,8]") + "}", 8),
               "'w' is F32 [3] but has 8 bytes"},
        Damage{"ShapeOverflow",
               FileOf("{" + Entry("w", "F32", "[4611686018427387904,4]", "[0,0]") + "}", 0),
               "but has 0 bytes"},
        Damage{"Overlap",
               FileOf("{" + Entry("a", "F32", "[2]", "[0,8]") + "," +
                          Entry("b", "F32", "[2]", "[4,12]") + "}",
                      12),
               "'b' overlaps"},
        Damage{"Gap",
               FileOf("{" + Entry("a", "F32", "[1]", "[0,4]") + "," +
                          Entry("b", "F32", "[1]", "[8,12]") + "}",
                      12),
               "'b' leaves a gap"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace waferstream
