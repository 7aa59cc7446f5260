#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "checkpoint/config_families.h"
#include "checkpoint/config_shape.h"
#include "plan/model.h"

namespace waferstream {
namespace {

// The share of a head's columns of which, rounded down, there are just so many.
double Fraction(uint32_t turned, uint32_t dim) {
  const double fraction = static_cast<double>(turned) / dim;
  return static_cast<uint32_t>(fraction * dim) == turned ? fraction : std::nextafter(fraction, 2.0);
}

}  // namespace

absl::Status ReadGptjConfig(const ConfigKeys& config, ModelSpec& model) {
  RETURN_IF_ERROR(config.Require("activation_function", "gelu_new"));
  RETURN_IF_ERROR(ReadShape(config, kEarlyKeys, {.ffn_per_hidden = 4}, model));
  const uint32_t dim = model.hidden() / model.heads();
  uint32_t turned;
  RETURN_IF_ERROR(config.Size("rotary_dim", turned, 64));
  if (turned > dim) {
    return config.Unsupported(
        absl::StrCat("rotary_dim is ", turned, ", and a head has ", dim, " columns"));
  }
  model.set_rope_fraction(Fraction(turned, dim));
  return absl::OkStatus();
}

void WriteGptjConfig(const ModelSpec& model, ConfigKeys::Json& config) {
  WriteShape(model, kEarlyKeys, config);
  config.update({{"activation_function", "gelu_new"},
                 {"rotary_dim", TurnedColumns(WithDefaults(model))},
                 {"attn_pdrop", 0.0},
                 {"embd_pdrop", 0.0},
                 {"resid_pdrop", 0.0}});
}

}  // namespace waferstream
