// Which activations the norms and projections of a layer read and write.
#pragma once

#include "wafer_node/op_context.h"

namespace waferstream {

// One activation: a buffer, at the layer index under which it is kept.
struct Activation {
  SramBuffer buffer = SramBuffer::kResidual;
  int layer = 0;
  int64_t width = 0;  // elements of a row
  Dtype dtype = Dtype::kF32;

  std::byte* Of(const OpContext& c, int resident, int64_t row = 0, int64_t column = 0) const {
    return ElementAt(c.at.At(buffer, resident, layer), dtype, row * width + column);
  }
};

// output = norm(input); both [N, D], input in fp32.
struct NormSite {
  Activation input;
  Activation output;
};
NormSite NormAt(const OpContext& c);

// output = input W^T + bias, and + residual where there is one.
struct ProjectionSite {
  Activation input;
  Activation output;
  bool has_residual = false;
  Activation residual = {};
  Activation output_delta;  // in backward, the gradient of output as the products take it
};
ProjectionSite ProjectionAt(const OpContext& c);

// The gradient of the residual as the products take it.
Activation OutputDelta(const OpContext& c);

// The gradient of a projection's input, summed over its tiles: fp32 [N, width].
Activation InputDelta(int64_t width);

}  // namespace waferstream
