// Gradients of a norm's vectors: sums over all rows, by spans that threads share.
#pragma once

#include <functional>

#include "wafer_node/activation.h"

namespace waferstream {

// Adds to sums [width], which are 0, over some rows of a micro-batch.
using AddOverRows = std::function<void(int resident, RowSpan rows, float* sums)>;

// Sets `room` [width], of every micro-batch, to the sums over kUnitRows rows after the other, added
// in order: the same bits from any number of threads. Spans are in the workspaces meanwhile, so
// `add` has none.
void SumOverRows(const OpContext& c, const Activation& room, const AddOverRows& add);

}  // namespace waferstream
