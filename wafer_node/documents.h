// What attention and positions take for a sequence: a sequence of the data, or, where documents are
// isolated, each document's part of one.
#pragma once

#include <vector>

#include "plan/partition.h"
#include "wafer_node/op_context.h"

namespace waferstream {

// Of one resident micro-batch, in order: together all of its tokens. Where documents are isolated,
// one begins wherever the position is 0.
std::vector<RowSpan> DocumentsOf(const OpContext& c, int resident);

// A document and where it is.
struct Document {
  int resident = 0;
  RowSpan rows;
};
// Of all resident micro-batches.
std::vector<Document> AllDocuments(const OpContext& c);

}  // namespace waferstream
