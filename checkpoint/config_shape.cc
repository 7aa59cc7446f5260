#include "checkpoint/config_shape.h"

#include "base/status.h"

namespace waferstream {

absl::Status ReadShape(const ConfigKeys& config, const ShapeKeys& keys,
                       const ShapeDefaults& defaults, ModelSpec& model) {
  uint32_t layers, heads, hidden, vocab, context, ffn;
  bool tied;
  double norm_eps;
  RETURN_IF_ERROR(config.Size(keys.layers, layers));
  RETURN_IF_ERROR(config.Size(keys.heads, heads));
  RETURN_IF_ERROR(config.Size(keys.hidden, hidden));
  RETURN_IF_ERROR(config.Size("vocab_size", vocab));
  RETURN_IF_ERROR(config.Size(keys.context, context));
  std::optional<uint32_t> ffn_otherwise;
  if (defaults.ffn_per_hidden != 0) ffn_otherwise = defaults.ffn_per_hidden * hidden;
  RETURN_IF_ERROR(config.Size(keys.ffn, ffn, ffn_otherwise));
  RETURN_IF_ERROR(config.Flag("tie_word_embeddings", tied, defaults.tied));
  RETURN_IF_ERROR(config.Real(keys.norm_eps, norm_eps, defaults.norm_eps));
  model.set_layers(layers);
  model.set_heads(heads);
  model.set_hidden(hidden);
  model.set_vocab(vocab);
  model.set_context(context);
  model.set_ffn(ffn);
  model.set_tied(tied);
  model.set_norm_eps(norm_eps);
  return absl::OkStatus();
}

void WriteShape(const ModelSpec& model, const ShapeKeys& keys, ConfigKeys::Json& config) {
  config.update({{keys.layers, model.layers()},
                 {keys.heads, model.heads()},
                 {keys.hidden, model.hidden()},
                 {"vocab_size", model.vocab()},
                 {keys.context, model.context()},
                 {keys.ffn, model.ffn()},
                 {"tie_word_embeddings", model.tied()},
                 {keys.norm_eps, model.norm_eps()}});
}

}  // namespace waferstream
