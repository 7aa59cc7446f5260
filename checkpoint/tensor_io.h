// Moves rows of a parameter between memory (rows = output features, fp32) and a tensor in a file
// (maybe transposed, maybe of another type). Buffers are bounded whatever the tensor's size.
#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "base/dtype.h"
#include "checkpoint/disk.h"
#include "checkpoint/safetensors.h"
#include "plan/model.h"
#include "plan/partition.h"

namespace waferstream {

// `values` holds rows.count * parameter.cols floats. The tensor is F32 or BF16 (rounded to
// nearest).
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

// Whether ReadRows can read it.
bool IsReadable(const TensorInfo& tensor);

}  // namespace waferstream
