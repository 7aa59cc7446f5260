// Moves rows of a parameter between memory (rows = output features, fp32) and a tensor in a file
// (maybe transposed, maybe of another type). Buffers are bounded whatever the tensor's size.
#pragma once

#include <algorithm>
#include <cstddef>

#include "absl/status/status.h"
#include "base/dtype.h"
#include "checkpoint/disk.h"
#include "checkpoint/safetensors.h"
#include "plan/model.h"
#include "plan/partition.h"

namespace waferstream {

// `values` holds rows.count * parameter.cols floats. The tensor is F32, BF16 or F16:
// rounded to nearest, ties to even; what F16 has no number for becomes infinity.
absl::Status WriteRows(File& file, const TensorInfo& tensor, const Parameter& parameter,
                       RowSpan rows, const float* values);

// The tensor is F32, BF16 or F16; all of them become fp32 exactly.
absl::Status ReadRows(const File& file, const TensorInfo& tensor, const Parameter& parameter,
                      RowSpan rows, float* values);

// The same of values that are of `dtype` in memory, as optimizer states may be.
absl::Status WriteRows(File& file, const TensorInfo& tensor, const Parameter& parameter,
                       RowSpan rows, Dtype dtype, const std::byte* values);
absl::Status ReadRows(const File& file, const TensorInfo& tensor, const Parameter& parameter,
                      RowSpan rows, Dtype dtype, std::byte* values);

// Calls body(rows) for spans of rows that together are the parameter, each of at most a million
// elements (or one row), until one returns an error.
template <class Body>
absl::Status ForPieces(const Parameter& parameter, Body body) {
  const int64_t rows_max = std::max<int64_t>(1, (1 << 20) / parameter.cols);
  for (int64_t row = 0; row < parameter.rows; row += rows_max) {
    const absl::Status status = body(RowSpan{row, std::min(rows_max, parameter.rows - row)});
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// From this magnitude on, F16 rounds to infinity.
inline constexpr float kHalfOverflow = 65520;

// Whether ReadRows can read it.
bool IsReadable(const TensorInfo& tensor);

}  // namespace waferstream
