// Copies of tokens, expert after expert (plan/graph.h): rows of a value whose row of a token is as
// many of theirs as a token has experts.
#pragma once

#include <algorithm>

#include "wafer_node/activation.h"

namespace waferstream {

// Of one in int32.
inline int32_t* Indices(const OpContext& c, const Activation& value, int resident,
                        int64_t row = 0) {
  return reinterpret_cast<int32_t*>(value.Of(c, resident, row));
}

// Elements of a copy.
inline int64_t WidthOfCopies(const OpContext& c, const Activation& copies) {
  return copies.width / c.node().attributes.experts_per_token;
}

inline std::byte* CopyAt(const OpContext& c, const Activation& copies, int resident, int64_t row,
                         int64_t column = 0) {
  const int64_t element = row * WidthOfCopies(c, copies) + column;
  return ElementAt(copies.Of(c, resident), copies.dtype, element);
}

// Those of the expert whose tile an op works on.
class ExpertRows {
 public:
  explicit ExpertRows(const OpContext& c) : c_(c), ends_(Read(c, 1)) {
    const std::vector<int>& matrices = c.node().matrices;
    expert_ = std::find(matrices.begin(), matrices.end(), c.tile().parameter) - matrices.begin();
  }

  RowSpan Of(int resident) const {
    const int32_t* ends = Indices(c_, ends_, resident);
    const int64_t first = expert_ == 0 ? 0 : ends[expert_ - 1];
    return {first, ends[expert_] - first};
  }

  // Units of kUnitRows rows, of all micro-batches, and one of them.
  int Units() const {
    int64_t units = 0;
    for (int r = 0; r < c_.wave.resident(); ++r) units += SpanCount(Of(r).count, kUnitRows);
    return static_cast<int>(units);
  }
  struct Unit {
    int resident;
    RowSpan rows;
  };
  Unit UnitAt(int64_t i) const {
    int r = 0;
    for (; i >= SpanCount(Of(r).count, kUnitRows); ++r) i -= SpanCount(Of(r).count, kUnitRows);
    const RowSpan all = Of(r), span = SpanAt(all.count, kUnitRows, i);
    return {r, {all.first + span.first, span.count}};
  }

 private:
  const OpContext& c_;
  const Activation ends_;
  int64_t expert_ = 0;
};

}  // namespace waferstream
