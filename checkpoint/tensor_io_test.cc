#include "checkpoint/tensor_io.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/memory_disk.h"

namespace waferstream {
namespace {

using ::testing::ElementsAre;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Parameter Matrix(int64_t rows, int64_t cols, bool transposed) {
  Parameter p;
  p.rows = rows;
  p.cols = cols;
  p.two_dimensional = true;
  p.transposed_in_checkpoint = transposed;
  return p;
}

// A file with one tensor behind a header of 8 bytes.
class TensorIoTest : public testing::Test {
 protected:
  TensorIoTest() : file_(*disk_.OpenForWriting("/t")) {}

  template <class T>
  void Write(const std::vector<T>& data) {
    ASSERT_TRUE(file_->WriteAt(tensor_.offset, data.data(), data.size() * sizeof(T)).ok());
  }
  template <class T>
  std::vector<T> Read(size_t n) {
    std::vector<T> data(n);
    const absl::Status status = file_->ReadAt(tensor_.offset, data.data(), n * sizeof(T));
    EXPECT_TRUE(status.ok()) << status;
    return data;
  }
  std::vector<float> Rows(const Parameter& p, RowSpan rows) {
    std::vector<float> values(rows.count * p.cols);
    const absl::Status status = ReadRows(*file_, tensor_, p, rows, values.data());
    EXPECT_TRUE(status.ok()) << status;
    return values;
  }

  MemoryDisk tree_{1};
  MemoryDisk::View disk_{tree_};
  std::unique_ptr<File> file_;
  TensorInfo tensor_{.name = "w", .dtype = "F32", .shape = {}, .offset = 8, .bytes = 0};
};

TEST_F(TensorIoTest, RowsAreWhereTheyAre) {
  Write<float>({11, 12, 21, 22, 31, 32});
  const Parameter p = Matrix(3, 2, false);
  EXPECT_THAT(Rows(p, {1, 1}), ElementsAre(21, 22));
  EXPECT_THAT(Rows(p, {1, 2}), ElementsAre(21, 22, 31, 32));
  const std::vector<float> row = {91, 92};
  ASSERT_TRUE(WriteRows(*file_, tensor_, p, {2, 1}, row.data()).ok());
  EXPECT_THAT(Read<float>(6), ElementsAre(11, 12, 21, 22, 91, 92));
}

// The file has [cols, rows].
TEST_F(TensorIoTest, RowsOfATransposedTensorAreItsColumns) {
  Write<float>({11, 21, 31, 12, 22, 32});
  const Parameter p = Matrix(3, 2, true);
  EXPECT_THAT(Rows(p, {1, 2}), ElementsAre(21, 22, 31, 32));
  const std::vector<float> rows = {71, 72, 81, 82};
  ASSERT_TRUE(WriteRows(*file_, tensor_, p, {0, 2}, rows.data()).ok());
  EXPECT_THAT(Read<float>(6), ElementsAre(71, 81, 31, 72, 82, 32));
}

// Element (r, c) is r + c / 64: exact in fp32, and in bf16 for what is taken here.
float Element(int64_t r, int64_t c) { return static_cast<float>(r) + static_cast<float>(c) / 64; }

// 35 columns are transposed in two blocks of 16 and one of 3; spans begin and end anywhere.
TEST_F(TensorIoTest, EverySpanOfRowsMeetsItsOwn) {
  for (const bool transposed : {false, true}) {
    const Parameter p = Matrix(21, 35, transposed);
    Write(std::vector<float>(21 * 35, -1));
    for (const RowSpan rows : {RowSpan{5, 9}, RowSpan{0, 5}, RowSpan{14, 7}}) {
      std::vector<float> values;
      for (int64_t i = 0; i < rows.count * p.cols; ++i) {
        values.push_back(Element(rows.first + i / p.cols, i % p.cols));
      }
      ASSERT_TRUE(WriteRows(*file_, tensor_, p, rows, values.data()).ok());
      EXPECT_EQ(Rows(p, rows), values);
    }
    const std::vector<float> all = Read<float>(21 * 35);
    for (int64_t r = 0; r < p.rows; ++r) {
      for (int64_t c = 0; c < p.cols; ++c) {
        EXPECT_EQ(all[transposed ? c * p.rows + r : r * p.cols + c], Element(r, c))
            << r << " " << c;
      }
    }
  }
}

// More than the 64 Ki elements that are converted, or transposed, at a time.
TEST_F(TensorIoTest, NothingIsLostBetweenChunks) {
  constexpr int64_t kRows = 2 * 64 * 1024 + 3;
  tensor_.dtype = "BF16";
  for (const bool transposed : {false, true}) {
    const Parameter p = Matrix(kRows, 2, transposed);
    std::vector<float> values;
    for (int64_t i = 0; i < kRows * 2; ++i) values.push_back(static_cast<float>(i % 251));
    ASSERT_TRUE(WriteRows(*file_, tensor_, p, {0, kRows}, values.data()).ok());
    EXPECT_EQ(Rows(p, {0, kRows}), values);
    const std::vector<uint16_t> raw = Read<uint16_t>(kRows * 2);
    for (int64_t r : {int64_t{0}, int64_t{65535}, int64_t{65536}, int64_t{131072}, kRows - 1}) {
      const float expected = static_cast<float>((2 * r + 1) % 251);
      const uint16_t bits = raw[transposed ? kRows + r : 2 * r + 1];
      EXPECT_EQ(std::bit_cast<float>(uint32_t{bits} << 16), expected) << r;
    }
  }
}

TEST_F(TensorIoTest, Bf16IsRoundedToNearestEven) {
  tensor_.dtype = "BF16";
  const std::vector<float> values = {1,        -2, 1 + 1.f / 256, 1 + 3.f / 256, 1 + 1.1f / 256,
                                     kInfinity};
  ASSERT_TRUE(WriteRows(*file_, tensor_, Matrix(6, 1, false), {0, 6}, values.data()).ok());
  EXPECT_THAT(Read<uint16_t>(6), ElementsAre(0x3f80, 0xc000, 0x3f80, 0x3f82, 0x3f81, 0x7f80));
}

// IEEE 754 binary16, by its definition: subnormal below 0x0400, 0x7c00 is infinity.
TEST_F(TensorIoTest, F16BecomesFp32Exactly) {
  tensor_.dtype = "F16";
  Write<uint16_t>(
      {0x3c00, 0x3555, 0x0000, 0x8000, 0x0001, 0x83ff, 0x0400, 0x7bff, 0x7c00, 0xfc00, 0x7e00});
  const std::vector<float> values = Rows(Matrix(11, 1, false), {0, 11});
  const float expected[] = {1,           1365 * 0x1p-12f, 0,     -0.0f,     0x1p-24f,
                            -0x3ffp-24f, 0x1p-14f,        65504, kInfinity, -kInfinity};
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(std::bit_cast<uint32_t>(values[i]), std::bit_cast<uint32_t>(expected[i])) << i;
  }
  EXPECT_TRUE(std::isnan(values[10]));
}

// Every one of them: itself again, and of what lies between two neighbours the nearer one, or, in
// the middle, the even one.
TEST_F(TensorIoTest, Fp32BecomesTheNearestF16) {
  tensor_.dtype = "F16";
  std::vector<uint16_t> all(1 << 16);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  const Parameter p = Matrix(1 << 16, 1, false);
  Write(all);
  const std::vector<float> exact = Rows(p, {0, p.rows});
  ASSERT_TRUE(WriteRows(*file_, tensor_, p, {0, p.rows}, exact.data()).ok());
  const std::vector<uint16_t> again = Read<uint16_t>(1 << 16);
  for (size_t i = 0; i < all.size(); ++i) {
    const bool same = std::isnan(exact[i]) ? (again[i] & 0x7fff) > 0x7c00 : again[i] == all[i];
    ASSERT_TRUE(same) << i;
  }
  std::vector<float> between;
  std::vector<uint16_t> nearest;
  for (uint16_t half = 0; half < 0x7bff; ++half) {
    const uint16_t next = half + 1;
    const float middle = (exact[half] + exact[next]) / 2;
    between.insert(between.end(), {std::nextafter(middle, 0.0f), middle, -middle,
                                   std::nextafter(middle, kInfinity)});
    const uint16_t even = half % 2 == 0 ? half : next;
    nearest.insert(nearest.end(), {half, even, static_cast<uint16_t>(even | 0x8000), next});
  }
  for (const float x : {65519.9961f, 65520.0f, 1e30f, 1e-30f}) between.push_back(x);
  for (const int half : {0x7bff, 0x7c00, 0x7c00, 0}) {
    nearest.push_back(static_cast<uint16_t>(half));
  }
  const auto n = static_cast<int64_t>(between.size());
  ASSERT_TRUE(WriteRows(*file_, tensor_, Matrix(n, 1, false), {0, n}, between.data()).ok());
  EXPECT_EQ(Read<uint16_t>(n), nearest);
}

TEST_F(TensorIoTest, AHalfTensorIsTransposedByItsOwnWidth) {
  tensor_.dtype = "BF16";
  Write<uint16_t>({0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0, 0x40c0});  // 1 to 6
  EXPECT_THAT(Rows(Matrix(3, 2, true), {1, 2}), ElementsAre(2, 5, 3, 6));
  EXPECT_THAT(Rows(Matrix(3, 2, false), {1, 2}), ElementsAre(3, 4, 5, 6));
}

TEST_F(TensorIoTest, AFileThatEndsTooEarlyIsAnErrorWhateverTheForm) {
  Write<float>({1, 2, 3});
  for (const bool transposed : {false, true}) {
    const Parameter p = Matrix(2, 2, transposed);
    float values[4];
    EXPECT_EQ(ReadRows(*file_, tensor_, p, {0, 2}, values).code(), absl::StatusCode::kDataLoss);
  }
}

TEST_F(TensorIoTest, AnErrorOfTheDiskIsPassedOn) {
  MemoryDisk::View full(tree_, [](DiskOp op, const std::string&) {
    return DiskFault{.status = op == DiskOp::kWrite ? absl::ResourceExhaustedError("full")
                                                    : absl::OkStatus()};
  });
  const std::unique_ptr<File> file = *full.OpenForWriting("/u");
  const std::vector<float> values(4, 1);
  for (const char* dtype : {"F32", "BF16"}) {
    tensor_.dtype = dtype;
    for (const bool transposed : {false, true}) {
      EXPECT_EQ(
          WriteRows(*file, tensor_, Matrix(2, 2, transposed), {0, 2}, values.data()).message(),
          "full");
    }
  }
}

TEST_F(TensorIoTest, KnowsWhatItCanRead) {
  for (const char* dtype : {"F32", "BF16", "F16", "F64", "I32", "f32", ""}) {
    tensor_.dtype = dtype;
    const std::string name = dtype;
    EXPECT_EQ(IsReadable(tensor_), name == "F32" || name == "BF16" || name == "F16") << name;
  }
}

}  // namespace
}  // namespace waferstream
