#include "wafer_node/diagnosis.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/dtype.h"
#include "base/mark.h"
#include "wafer_node/outputs.h"

namespace waferstream {
namespace {

// All exponent bits set: infinite or NaN.
bool AllFinite(const float* values, int64_t count) {
  constexpr uint32_t kExponent = 0x7f800000;
  bool finite = true;
  for (int64_t i = 0; i < count; ++i) {
    finite &= (std::bit_cast<uint32_t>(values[i]) & kExponent) != kExponent;
  }
  return finite;
}

bool AllFinite(const Bf16* values, int64_t count) {
  constexpr uint16_t kExponent = 0x7f80;
  bool finite = true;
  for (int64_t i = 0; i < count; ++i) {
    finite &= (values[i].bits & kExponent) != kExponent;
  }
  return finite;
}

bool AllFinite(Dtype dtype, const std::byte* values, int64_t count) {
  return dtype == Dtype::kF32 ? AllFinite(reinterpret_cast<const float*>(values), count)
                              : AllFinite(reinterpret_cast<const Bf16*>(values), count);
}

bool AllFinite(const Output& output) {
  for (int64_t row = 0; row < output.rows; ++row) {
    const std::byte* values = ElementAt(output.data, output.dtype, row * output.stride);
    if (!AllFinite(output.dtype, values, output.columns)) return false;
  }
  return true;
}

std::string NameOf(const Plan& plan, int tile) {
  return absl::StrCat(plan.parameters[plan.tiles[tile].parameter].name, " (tile ", tile, ")");
}

// The tile that an op works on, or else what it does and where.
std::string PlaceOf(const OpContext& c) {
  const Op& op = c.op();
  const std::vector<int>& stream = StreamOf(c.plan, c.wave.pass.kind);
  if (op.item >= 0) return NameOf(c.plan, stream[op.item]);
  if (!op.needs.empty()) return NameOf(c.plan, stream[op.needs[0]]);
  if (!op.gradients.empty()) {
    return NameOf(c.plan, c.plan.program.gradient_stream[op.gradients[0]].tile);
  }
  return c.operation().node >= 0 ? c.node().name
                                 : c.plan.program.values[c.operation().writes[0]].name;
}

std::string WhereOf(const OpContext& c) {
  if (c.operation().kind == OpKind::kLoss) return "loss";
  const bool forward = c.wave.pass.kind == PassKind::kForward;
  return absl::StrCat(forward ? "forward, " : "backward, ", PlaceOf(c));
}

// The op's position in the step: forward ops, then backward ops, wave after wave.
uint64_t OrderOf(const OpContext& c) {
  const Program& program = c.plan.program;
  const uint64_t forward = program.forward.size(), backward = program.backward.size();
  const uint64_t before = c.wave.pass.wave * (forward + backward);
  if (c.wave.pass.kind == PassKind::kForward) return before + (&c.op() - program.forward.data());
  return before + forward + (&c.op() - program.backward.data());
}

}  // namespace

void Diagnosis::Note(int resident) {
  int first = bad_;
  while (resident < first && !bad_.compare_exchange_weak(first, resident)) {
  }
}

void Diagnosis::OnGradient(int resident, const float* values, int64_t count) {
  if (!AllFinite(values, count)) Note(resident);
}

void Diagnosis::OnOp(const OpContext& c) {
  const int bad_gradient = bad_.exchange(kNone);
  const PassKind kind = c.wave.pass.kind;
  if (first_.has_value() || (kind != PassKind::kForward && kind != PassKind::kBackward)) return;
  for (size_t i = 0; i < c.op().needs.size(); ++i) {
    const int tile = StreamOf(c.plan, kind)[c.op().needs[i]];
    if (AllFinite(c.dtype(), c.in.tiles[i], c.plan.tiles[tile].elements)) continue;
    return Keep(c, 0, absl::StrCat("weights of ", NameOf(c.plan, tile), " as received"));
  }
  c.parallel.For(c.wave.resident(), [&](int resident, int) {
    for (const Output& output : OutputsOf(c, resident)) {
      if (!AllFinite(output)) Note(resident);
    }
  });
  const int bad = std::min(bad_gradient, bad_.exchange(kNone));
  if (bad != kNone) Keep(c, bad, WhereOf(c));
}

void Diagnosis::Keep(const OpContext& c, int resident, std::string where) {
  WS_MARK("wafer: diagnosed a number that is not finite");
  first_.emplace();
  first_->set_micro_batch(static_cast<uint32_t>(c.wave.LeafOf(resident)));
  first_->set_where(std::move(where));
  first_->set_order(OrderOf(c));
}

std::optional<NonFinite> Diagnosis::Take() { return std::exchange(first_, std::nullopt); }

}  // namespace waferstream
