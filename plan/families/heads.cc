#include "plan/families/heads.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

// What says how far the angles are stretched, where they are not.
absl::Status CheckUnstretched(const ModelSpec& m) {
  const std::pair<const char*, double> of_stretching[] = {
      {"rope_low_freq_factor", m.rope_low_freq_factor()},
      {"rope_high_freq_factor", m.rope_high_freq_factor()},
      {"rope_original_context", m.rope_original_context()}};
  for (const auto& [key, value] : of_stretching) {
    if (value == 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("model.", key, ": ", value, ", but there is no model.rope_factor"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Heads> HeadsOf(const ModelSpec& m) {
  Heads heads{.queries = m.heads(), .keys = m.kv_heads(), .dim = m.head_dim(), .rotary = {}};
  if (heads.queries % heads.keys != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model.heads: ", heads.queries, " is not divisible by model.kv_heads: ", heads.keys));
  }
  const int64_t dims = TurnedColumns(m);
  if (dims == 0 || dims % 2 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.head_dim: of ", heads.dim, " columns ", dims,
                     " are turned by their position, which takes pairs"));
  }
  heads.rotary = {.dims = dims,
                  .theta = m.rope_theta(),
                  .factor = m.rope_factor(),
                  .low_freq_factor = m.rope_low_freq_factor(),
                  .high_freq_factor = m.rope_high_freq_factor(),
                  .original_context = static_cast<double>(m.rope_original_context())};
  if (heads.rotary.factor == 0) {
    RETURN_IF_ERROR(CheckUnstretched(m));
    return heads;
  }
  if (m.rope_original_context() == 0) {
    return absl::InvalidArgumentError(
        "model.rope_original_context: 0; with model.rope_factor it is the context that the model "
        "had before");
  }
  if (heads.rotary.high_freq_factor <= heads.rotary.low_freq_factor) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.rope_high_freq_factor: ", heads.rotary.high_freq_factor,
                     " is not above model.rope_low_freq_factor: ", heads.rotary.low_freq_factor));
  }
  return heads;
}

absl::Status CheckOnly(const char* key, double value, double only, const ModelSpec& m) {
  if (value == only) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("model.", key, ": ", value, "; the family ", m.family(), " has ", only));
}

absl::Status CheckOwnKeys(const ModelSpec& m) {
  RETURN_IF_ERROR(CheckOnly("kv_heads", m.kv_heads(), m.heads(), m));
  if (m.hidden() % m.heads() != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model.hidden: ", m.hidden(), " is not divisible by model.heads: ", m.heads()));
  }
  RETURN_IF_ERROR(CheckOnly("head_dim", m.head_dim(), m.hidden() / m.heads(), m));
  return CheckOnly("rope_factor", m.rope_factor(), 0, m);
}

int AttendTurned(const std::string& node, const Heads& heads, int64_t window, const ModelSpec& m,
                 const std::vector<int>& qkv, GraphBuilder& b) {
  Attributes attributes{.head_dim = heads.dim,
                        .q = {0, 0, heads.dim, heads.queries},
                        .k = {1, 0, heads.dim, heads.keys},
                        .v = {2, 0, heads.dim, heads.keys},
                        .rotary = heads.rotary};
  const std::vector<int> turned = b.Rotary(node + " rotary", {qkv[0], qkv[1]}, attributes);
  // A window as wide as the context hides nothing.
  attributes.window = window >= m.context() ? 0 : window;
  return b.Attention(node, {turned[0], turned[1], qkv[2]}, attributes);
}

}  // namespace waferstream
