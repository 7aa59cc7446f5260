// A model from wherever it is.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "checkpoint/model_source.h"

namespace waferstream {

// A folder: config.json, and the files that FindModelFiles chooses. A file: nanoGPT's or llm.c's
// (nanogpt.h, llmc.h), told by how it begins. NOT_FOUND: no such folder or file. DATA_LOSS:
// damaged. INVALID_ARGUMENT: a model that this system cannot run. One line, naming the file.
absl::StatusOr<ModelSource> OpenModel(Disk& disk, const std::string& path);

// The model alone.
absl::StatusOr<ModelSpec> ReadModel(Disk& disk, const std::string& path);

}  // namespace waferstream
