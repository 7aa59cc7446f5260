// Attention. The unit of work is one head of one document of one micro-batch; in backward, all
// heads that share a key and value, whose gradients are one sum.
#include "wafer_node/kernels/attention.h"

#include <functional>
#include <vector>

#include "wafer_node/activation.h"
#include "wafer_node/ops/kinds.h"

namespace waferstream {
namespace {

struct Unit {
  int resident;
  RowSpan rows;  // of the document
  int64_t head;  // of queries
  float* lse;    // [rows] of each query head, from this one on
};

// Runs unit(unit, thread) for every `step`-th query head of every document. `lse` has the
// log-sum-exp of all queries, document after document, [head, token].
void ForHeads(const OpContext& c, const Activation& lse, int64_t step,
              const std::function<void(const Unit&, int thread)>& unit) {
  const int64_t heads = c.node().attributes.q.heads;
  const int units = static_cast<int>(heads / step);
  const std::vector<Document>& documents = c.wave.documents;
  c.parallel.For(static_cast<int>(documents.size()) * units, [&](int i, int thread) {
    const int64_t head = i % units * step;
    const auto& [resident, rows] = documents[i / units];
    float* of_head = lse.Floats(c, resident) + rows.first * heads + head * rows.count;
    unit({resident, rows, head, of_head}, thread);
  });
}

int64_t GroupOf(const Attributes& a) { return a.q.heads / a.k.heads; }

AttentionOptions OptionsOf(const OpContext& c, const Unit& unit) {
  const Attributes& a = c.node().attributes;
  return {.products = c.products(),
          .tokens = unit.rows.count,
          .head_dim = a.head_dim,
          .q_stride = Read(c, a.q.operand).width,
          .kv_stride = Read(c, a.k.operand).width,
          .out_stride = a.q.heads * a.head_dim,
          .window = a.window,
          .group = GroupOf(a),
          .q_head_stride = a.q.stride,
          .out_head_stride = a.head_dim};
}

// Where the unit's q, k and v begin, among operands of the operation: what it reads, or, of their
// gradients, what it writes.
struct Qkv {
  std::byte* q;
  std::byte* k;
  std::byte* v;
};
Qkv QkvOf(const OpContext& c, const Unit& unit, Activation (*operand)(const OpContext&, size_t)) {
  const Attributes& a = c.node().attributes;
  const auto at = [&](const HeadColumns& columns, int64_t head) {
    return operand(c, columns.operand)
        .Of(c, unit.resident, unit.rows.first, columns.first + head * columns.stride);
  };
  const int64_t shared = unit.head / GroupOf(a);
  return {at(a.q, unit.head), at(a.k, shared), at(a.v, shared)};
}

}  // namespace

void AttentionOp(const OpContext& c) {
  const Activation out = Written(c, 0);
  const int64_t head_dim = c.node().attributes.head_dim;
  ForHeads(c, Written(c, 1), /*step=*/1, [&](const Unit& unit, int thread) {
    const Qkv in = QkvOf(c, unit, Read);
    AttentionForward(OptionsOf(c, unit), {in.q, in.k, in.v},
                     out.Of(c, unit.resident, unit.rows.first, unit.head * head_dim), unit.lse,
                     c.Workspace(thread));
  });
}

void AttentionBackwardOp(const OpContext& c) {
  const Attributes& a = c.node().attributes;
  const size_t inputs = c.node().reads.size();
  const Activation lse = Read(c, inputs), output_delta = Read(c, inputs + 1);
  ForHeads(c, lse, GroupOf(a), [&](const Unit& unit, int thread) {
    const Qkv in = QkvOf(c, unit, Read);
    const Qkv out = QkvOf(c, unit, Written);
    AttentionBackward(OptionsOf(c, unit), {in.q, in.k, in.v}, unit.lse,
                      output_delta.Of(c, unit.resident, unit.rows.first, unit.head * a.head_dim),
                      {out.q, out.k, out.v}, c.Workspace(thread));
  });
}

}  // namespace waferstream
