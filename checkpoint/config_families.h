// What each family's config.json says: one pair of functions a kind of configuration.
#pragma once

#include "absl/status/status.h"
#include "checkpoint/config_keys.h"
#include "proto/job.pb.h"

namespace waferstream {

// Read fills in the model, whose family is set. Absent keys have the defaults of Hugging Face's
// configuration class. DATA_LOSS, INVALID_ARGUMENT: as ReadConfig. Write adds the keys that a
// loader needs.
absl::Status ReadGpt2Config(const ConfigKeys& config, ModelSpec& model);
void WriteGpt2Config(const ModelSpec& model, ConfigKeys::Json& config);

absl::Status ReadGptjConfig(const ConfigKeys& config, ModelSpec& model);
void WriteGptjConfig(const ModelSpec& model, ConfigKeys::Json& config);

absl::Status ReadGptNeoxConfig(const ConfigKeys& config, ModelSpec& model);
void WriteGptNeoxConfig(const ModelSpec& model, ConfigKeys::Json& config);

// Of llama, mistral, olmo2, qwen2 and qwen3.
absl::Status ReadLlamaConfig(const ConfigKeys& config, ModelSpec& model);
void WriteLlamaConfig(const ModelSpec& model, ConfigKeys::Json& config);

}  // namespace waferstream
