#include "base/status.h"
#include "checkpoint/config_families.h"
#include "checkpoint/config_shape.h"
#include "plan/model.h"

namespace waferstream {
namespace {

constexpr ShapeKeys kKeys = LaterKeys("layer_norm_eps");

}  // namespace

absl::Status ReadGptNeoxConfig(const ConfigKeys& config, ModelSpec& model) {
  RETURN_IF_ERROR(config.Require("hidden_act", "gelu"));
  RETURN_IF_ERROR(config.Require("attention_bias", true));
  RETURN_IF_ERROR(config.Require("rope_scaling", ConfigKeys::Json()));
  RETURN_IF_ERROR(ReadShape(config, kKeys, {}, model));
  double theta, fraction;
  bool parallel;
  RETURN_IF_ERROR(config.Real("rotary_emb_base", theta, 10000));
  RETURN_IF_ERROR(config.Real("rotary_pct", fraction, 0.25));
  // Of later versions.
  if (config.Has("rope_parameters")) {
    ASSIGN_OR_RETURN(const ConfigKeys rotary, config.Within("rope_parameters"));
    RETURN_IF_ERROR(rotary.Require("rope_type", "default"));
    RETURN_IF_ERROR(rotary.Real("rope_theta", theta, theta));
    RETURN_IF_ERROR(rotary.Real("partial_rotary_factor", fraction, fraction));
  }
  RETURN_IF_ERROR(config.Flag("use_parallel_residual", parallel, true));
  model.set_rope_theta(theta);
  model.set_rope_fraction(fraction);
  model.set_sequential(!parallel);
  return absl::OkStatus();
}

void WriteGptNeoxConfig(const ModelSpec& asked, ConfigKeys::Json& config) {
  const ModelSpec model = WithDefaults(asked);
  WriteShape(model, kKeys, config);
  config.update({{"hidden_act", "gelu"},
                 {"rotary_emb_base", model.rope_theta()},
                 {"rotary_pct", model.rope_fraction()},
                 {"use_parallel_residual", !model.sequential()},
                 {"attention_bias", true},
                 {"attention_dropout", 0.0},
                 {"hidden_dropout", 0.0}});
}

}  // namespace waferstream
