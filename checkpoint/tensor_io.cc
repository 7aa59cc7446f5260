#include "checkpoint/tensor_io.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/dtype.h"
#include "base/status.h"

namespace waferstream {
namespace {

// Elements that are converted or transposed at a time.
constexpr int64_t kChunkElements = int64_t{64} * 1024;
// Columns that are transposed together, so that a cache line of the tile is read once.
constexpr int64_t kColumns = 16;

size_t ElementBytes(const TensorInfo& tensor) { return tensor.dtype == "F32" ? 4 : 2; }

float HalfToFloat(uint16_t half) {
  const int exponent = (half >> 10) & 31, fraction = half & 1023;
  const float sign = half & 0x8000 ? -1.0f : 1.0f;
  if (exponent == 31) return fraction ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
}

uint16_t FloatToHalf(float value) {
  const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000 : 0);
  const float x = std::fabs(value);
  if (std::isnan(x)) return sign | 0x7e00;
  if (x >= kHalfOverflow) return sign | 0x7c00;
  // Below the normal ones they are multiples of 2^-24; 1024 of these are the first normal one.
  if (x < 0x1p-14f) return sign | static_cast<uint16_t>(std::nearbyint(x * 0x1p24f));
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t rounded = bits + 0xfff + ((bits >> 13) & 1);
  return sign | static_cast<uint16_t>((rounded >> 13) - (112 << 10));  // exponent bias 127 to 15
}

void Decode(const TensorInfo& tensor, const void* from, int64_t n, float* to) {
  if (tensor.dtype == "F32") {
    std::memcpy(to, from, n * sizeof(float));
    return;
  }
  const auto* half = static_cast<const uint16_t*>(from);
  const bool bf16 = tensor.dtype == "BF16";
  for (int64_t i = 0; i < n; ++i) to[i] = bf16 ? ToFloat(Bf16{half[i]}) : HalfToFloat(half[i]);
}

void Encode(const TensorInfo& tensor, const float* from, int64_t n, void* to) {
  if (tensor.dtype == "F32") {
    std::memcpy(to, from, n * sizeof(float));
    return;
  }
  auto* half = static_cast<uint16_t*>(to);
  const bool bf16 = tensor.dtype == "BF16";
  for (int64_t i = 0; i < n; ++i) half[i] = bf16 ? ToBf16(from[i]).bits : FloatToHalf(from[i]);
}

// Element `index` of the tensor as the file orders them.
uint64_t OffsetOf(const TensorInfo& tensor, int64_t index) {
  return tensor.offset + static_cast<uint64_t>(index) * ElementBytes(tensor);
}

// Calls body(first, count) for the chunks of [0, n).
template <class Body>
absl::Status ForChunks(int64_t n, int64_t chunk, Body body) {
  for (int64_t i = 0; i < n; i += chunk) RETURN_IF_ERROR(body(i, std::min(chunk, n - i)));
  return absl::OkStatus();
}

absl::Status WriteRun(File& file, const TensorInfo& tensor, int64_t index, int64_t n,
                      const float* values) {
  if (tensor.dtype == "F32") return file.WriteAt(OffsetOf(tensor, index), values, n * 4);
  std::vector<uint16_t> raw(std::min(n, kChunkElements));
  return ForChunks(n, kChunkElements, [&](int64_t first, int64_t count) {
    Encode(tensor, values + first, count, raw.data());
    return file.WriteAt(OffsetOf(tensor, index + first), raw.data(), count * sizeof(raw[0]));
  });
}

absl::Status ReadRun(const File& file, const TensorInfo& tensor, int64_t index, int64_t n,
                     float* values) {
  if (tensor.dtype == "F32") return file.ReadAt(OffsetOf(tensor, index), values, n * 4);
  std::vector<uint16_t> raw(std::min(n, kChunkElements));
  return ForChunks(n, kChunkElements, [&](int64_t first, int64_t count) {
    RETURN_IF_ERROR(
        file.ReadAt(OffsetOf(tensor, index + first), raw.data(), count * sizeof(raw[0])));
    Decode(tensor, raw.data(), count, values + first);
    return absl::OkStatus();
  });
}

// The file has column c of the tile as one run. A run of at most kChunkElements rows at a time
// bounds the buffer for parameters with very many rows.
template <class Block>
absl::Status ForTransposedBlocks(const Parameter& parameter, RowSpan rows, Block block) {
  return ForChunks(parameter.cols, kColumns, [&](int64_t col, int64_t cols) {
    return ForChunks(rows.count, kChunkElements,
                     [&](int64_t row, int64_t n) { return block(col, cols, row, n); });
  });
}

// Goes through the rows a chunk at a time, with room for its elements [first, first + n) as fp32.
template <class Body>
absl::Status ForFloatRows(const Parameter& parameter, RowSpan rows, Body body) {
  const int64_t step = std::clamp<int64_t>(kChunkElements / parameter.cols, 1, rows.count);
  std::vector<float> floats(step * parameter.cols);
  return ForChunks(rows.count, step, [&](int64_t row, int64_t count) {
    return body(RowSpan{rows.first + row, count}, row * parameter.cols, count * parameter.cols,
                floats.data());
  });
}

}  // namespace

absl::Status WriteRows(File& file, const TensorInfo& tensor, const Parameter& parameter,
                       RowSpan rows, const float* values) {
  const int64_t width = parameter.cols;
  if (!parameter.transposed_in_checkpoint) {
    return WriteRun(file, tensor, rows.first * width, rows.count * width, values);
  }
  std::vector<float> block(kColumns * std::min(rows.count, kChunkElements));
  return ForTransposedBlocks(
      parameter, rows, [&](int64_t col, int64_t cols, int64_t row, int64_t n) {
        for (int64_t r = 0; r < n; ++r) {
          for (int64_t c = 0; c < cols; ++c) block[c * n + r] = values[(row + r) * width + col + c];
        }
        for (int64_t c = 0; c < cols; ++c) {
          RETURN_IF_ERROR(WriteRun(file, tensor, (col + c) * parameter.rows + rows.first + row, n,
                                   block.data() + c * n));
        }
        return absl::OkStatus();
      });
}

absl::Status ReadRows(const File& file, const TensorInfo& tensor, const Parameter& parameter,
                      RowSpan rows, float* values) {
  const int64_t width = parameter.cols;
  if (!parameter.transposed_in_checkpoint) {
    return ReadRun(file, tensor, rows.first * width, rows.count * width, values);
  }
  std::vector<float> block(kColumns * std::min(rows.count, kChunkElements));
  return ForTransposedBlocks(
      parameter, rows, [&](int64_t col, int64_t cols, int64_t row, int64_t n) {
        for (int64_t c = 0; c < cols; ++c) {
          RETURN_IF_ERROR(ReadRun(file, tensor, (col + c) * parameter.rows + rows.first + row, n,
                                  block.data() + c * n));
        }
        for (int64_t r = 0; r < n; ++r) {
          for (int64_t c = 0; c < cols; ++c) values[(row + r) * width + col + c] = block[c * n + r];
        }
        return absl::OkStatus();
      });
}

absl::Status WriteRows(File& file, const TensorInfo& tensor, const Parameter& parameter,
                       RowSpan rows, Dtype dtype, const std::byte* values) {
  if (dtype == Dtype::kF32) {
    return WriteRows(file, tensor, parameter, rows, reinterpret_cast<const float*>(values));
  }
  return ForFloatRows(parameter, rows, [&](RowSpan some, int64_t first, int64_t n, float* floats) {
    const Bf16* from = reinterpret_cast<const Bf16*>(values) + first;
    std::transform(from, from + n, floats, ToFloat);
    return WriteRows(file, tensor, parameter, some, floats);
  });
}

absl::Status ReadRows(const File& file, const TensorInfo& tensor, const Parameter& parameter,
                      RowSpan rows, Dtype dtype, std::byte* values) {
  if (dtype == Dtype::kF32) {
    return ReadRows(file, tensor, parameter, rows, reinterpret_cast<float*>(values));
  }
  return ForFloatRows(parameter, rows, [&](RowSpan some, int64_t first, int64_t n, float* floats) {
    RETURN_IF_ERROR(ReadRows(file, tensor, parameter, some, floats));
    std::transform(floats, floats + n, reinterpret_cast<Bf16*>(values) + first, ToBf16);
    return absl::OkStatus();
  });
}

bool IsReadable(const TensorInfo& tensor) {
  return tensor.dtype == "F32" || tensor.dtype == "BF16" || tensor.dtype == "F16";
}

}  // namespace waferstream
