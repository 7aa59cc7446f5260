// What every family's config.json says, under one of two sets of names.
#pragma once

#include "absl/status/status.h"
#include "checkpoint/config_keys.h"
#include "proto/job.pb.h"

namespace waferstream {

struct ShapeKeys {
  const char* layers;
  const char* heads;
  const char* hidden;
  const char* context;
  const char* ffn;
  const char* norm_eps;
};

// Of GPT-2 and GPT-J.
inline constexpr ShapeKeys kEarlyKeys = {"n_layer",     "n_head",  "n_embd",
                                         "n_positions", "n_inner", "layer_norm_epsilon"};

// Of those that came later, but for their norm_eps.
constexpr ShapeKeys LaterKeys(const char* norm_eps) {
  return {"num_hidden_layers",       "num_attention_heads", "hidden_size",
          "max_position_embeddings", "intermediate_size",   norm_eps};
}

// What a key means that is not there.
struct ShapeDefaults {
  bool tied = false;
  double norm_eps = 1e-5;
  uint32_t ffn_per_hidden = 0;  // 0: it must be there
};

// Both also take and write vocab_size and tie_word_embeddings. DATA_LOSS: one that must be there is
// not, or is no positive number.
absl::Status ReadShape(const ConfigKeys& config, const ShapeKeys& keys,
                       const ShapeDefaults& defaults, ModelSpec& model);
void WriteShape(const ModelSpec& model, const ShapeKeys& keys, ConfigKeys::Json& config);

}  // namespace waferstream
