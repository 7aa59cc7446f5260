#include "wafer_node/documents.h"

namespace waferstream {

std::vector<RowSpan> DocumentsOf(const OpContext& c, int resident) {
  std::vector<RowSpan> documents;
  if (c.at.Parts(SramBuffer::kPositions) == 0) {
    for (int64_t s = 0; s < c.wave.sequences; ++s) {
      documents.push_back({s * c.wave.sequence_tokens, c.wave.sequence_tokens});
    }
    return documents;
  }
  const int32_t* positions = c.at.As<int32_t>(SramBuffer::kPositions, resident);
  for (int64_t t = 0; t < c.wave.tokens(); ++t) {
    if (positions[t] == 0) documents.push_back({t, 0});
    ++documents.back().count;
  }
  return documents;
}

std::vector<Document> AllDocuments(const OpContext& c) {
  std::vector<Document> all;
  for (int r = 0; r < c.wave.resident(); ++r) {
    for (const RowSpan& rows : DocumentsOf(c, r)) all.push_back({r, rows});
  }
  return all;
}

}  // namespace waferstream
