#include "base/status.h"
#include "checkpoint/config_families.h"
#include "checkpoint/config_shape.h"

namespace waferstream {
namespace {

constexpr char kActivation[] = "activation_function";
constexpr char kTanhGelu[] = "gelu_new";
constexpr char kExactGelu[] = "gelu";

// reorder_and_upcast_attn is not among them: the same is computed in another order.
absl::Status CheckBuiltIn(const ConfigKeys& config) {
  RETURN_IF_ERROR(config.Require("scale_attn_weights", true));
  RETURN_IF_ERROR(config.Require("scale_attn_by_inverse_layer_idx", false));
  RETURN_IF_ERROR(config.Require("add_cross_attention", false));
  return config.Require("pruned_heads", ConfigKeys::Json::object());
}

}  // namespace

absl::Status ReadGpt2Config(const ConfigKeys& config, ModelSpec& model) {
  RETURN_IF_ERROR(CheckBuiltIn(config));
  const bool exact = config.Has(kActivation) && config.At(kActivation) == kExactGelu;
  if (!exact) RETURN_IF_ERROR(config.Require(kActivation, kTanhGelu));
  model.set_exact_gelu(exact);
  return ReadShape(config, kEarlyKeys, {.tied = true, .ffn_per_hidden = 4}, model);
}

void WriteGpt2Config(const ModelSpec& model, ConfigKeys::Json& config) {
  WriteShape(model, kEarlyKeys, config);
  config.update({{kActivation, model.exact_gelu() ? kExactGelu : kTanhGelu},
                 {"n_ctx", model.context()},
                 {"attn_pdrop", 0.0},
                 {"embd_pdrop", 0.0},
                 {"resid_pdrop", 0.0}});
}

}  // namespace waferstream
