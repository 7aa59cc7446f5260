// The element types in which weights are written to files. What travels and is computed with is
// base/dtype.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace waferstream {

enum class StoredDtype : uint8_t { kF32, kBf16, kF16 };

constexpr size_t BytesOf(StoredDtype dtype) { return dtype == StoredDtype::kF32 ? 4 : 2; }

// As a safetensors header says it: "F32", "BF16", "F16".
constexpr const char* TensorTypeOf(StoredDtype dtype) {
  constexpr const char* kNames[] = {"F32", "BF16", "F16"};
  return kNames[static_cast<size_t>(dtype)];
}

// As config.json says it.
constexpr const char* TorchNameOf(StoredDtype dtype) {
  constexpr const char* kNames[] = {"float32", "bfloat16", "float16"};
  return kNames[static_cast<size_t>(dtype)];
}

}  // namespace waferstream
