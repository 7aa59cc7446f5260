// config.json: the model as Hugging Face's configuration classes describe it.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "checkpoint/stored_dtype.h"
#include "proto/job.pb.h"

namespace waferstream {

// Of a model whose family is known.
std::string ConfigJson(const ModelSpec& model, StoredDtype dtype);

// The model that a checkpoint folder says it holds; absent keys have Hugging Face's defaults.
// DATA_LOSS: not a JSON object or a key of the wrong type; INVALID_ARGUMENT: a model that this
// system cannot run. One line, naming file and key.
absl::StatusOr<ModelSpec> ReadConfig(Disk& disk, const std::string& folder);

// INVALID_ARGUMENT: the first field in which the checkpoint's model differs from the job's.
absl::Status CheckSameModel(const std::string& folder, const ModelSpec& checkpoint,
                            const ModelSpec& job);

}  // namespace waferstream
