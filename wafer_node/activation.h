// What an operation reads and writes: values of the program, as addresses.
#pragma once

#include "wafer_node/op_context.h"

namespace waferstream {

// One value, of every resident micro-batch.
struct Activation {
  int value = 0;      // of the program
  int64_t width = 0;  // elements of a row
  Dtype dtype = Dtype::kF32;
  bool per_token = true;

  std::byte* Of(const OpContext& c, int resident, int64_t row = 0, int64_t column = 0) const {
    return ElementAt(c.at.ValueAt(value, resident), dtype, row * width + column);
  }
  // Of one in fp32.
  float* Floats(const OpContext& c, int resident, int64_t row = 0, int64_t column = 0) const {
    return reinterpret_cast<float*>(Of(c, resident, row, column));
  }
};

inline Activation ActivationOf(const OpContext& c, int value) {
  const Value& v = c.plan.program.values[value];
  return {value, v.width, v.dtype, v.per_token};
}
inline Activation Read(const OpContext& c, size_t i) {
  return ActivationOf(c, c.operation().reads[i]);
}
inline Activation Written(const OpContext& c, size_t i = 0) {
  return ActivationOf(c, c.operation().writes[i]);
}

}  // namespace waferstream
