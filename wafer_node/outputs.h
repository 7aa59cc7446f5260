// Which activations an op writes.
#pragma once

#include <cstdint>
#include <vector>

#include "wafer_node/activation.h"

namespace waferstream {

// Columns [column, column + columns) of every row of an activation.
struct Output {
  Activation activation;
  int64_t column = 0;
  int64_t columns = 0;
};

// Gradients of parameters are not among them, nor what a token lookup writes: single rows, copied
// as they are.
std::vector<Output> OutputsOf(const OpContext& c);

}  // namespace waferstream
