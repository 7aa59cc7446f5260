// Operands for kernels.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "base/status.h"
#include "base/vector_math.h"
#include "plan/kernel_workspace.h"

namespace waferstream {

// Memory of small random values of either dtype, aligned like an arena's.
class Buffer {
 public:
  Buffer(Dtype dtype, size_t n) : Buffer(n * BytesOf(dtype)) {
    std::vector<float> values(n);
    for (size_t i = 0; i < n; ++i)
      values[i] = static_cast<float>(i * 2654435761u % 1024) / 1024 - 0.5f;
    if (dtype == Dtype::kF32) {
      std::copy(values.begin(), values.end(), floats());
    } else {
      ConvertToBf16(values.data(), static_cast<Bf16*>(data()), n);
    }
  }
  explicit Buffer(size_t bytes)
      : bytes_(RoundUp(bytes + 1, kWorkspaceAlignment)),
        data_(std::aligned_alloc(kWorkspaceAlignment, bytes_)) {
    WS_CHECK(data_ != nullptr);
  }
  ~Buffer() { std::free(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* data() { return data_; }
  float* floats() { return static_cast<float*>(data_); }
  std::span<std::byte> span() { return {static_cast<std::byte*>(data_), bytes_}; }

 private:
  size_t bytes_;
  void* data_;
};

}  // namespace waferstream
