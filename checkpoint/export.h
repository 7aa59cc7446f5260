// A checkpoint's model for other programs: the files that transformers' save_pretrained would
// write.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "checkpoint/disk.h"
#include "checkpoint/new_folder.h"
#include "checkpoint/stored_dtype.h"

namespace waferstream {

// What becomes of low-rank adapters: they are added to the weights that they adapt, or written
// alone, as PEFT keeps them.
enum class AdapterExport { kMerged, kAlone };

struct ExportOptions {
  AdapterExport adapters = AdapterExport::kMerged;
  StoredDtype dtype = StoredDtype::kF32;
  // Of a file's tensors; one that is larger has a file of its own. A model that fits is one
  // model.safetensors, others are model-0000K-of-0000N.safetensors with an index.
  uint64_t shard_bytes_max = 5'000'000'000;
};

// Writes config.json, the weights and the companion files of `from` (anything that CheckpointReader
// opens) to the new folder `to`; of adapters alone adapter_config.json and
// adapter_model.safetensors. Memory: one bounded piece, and one matrix A of adapters.
// ALREADY_EXISTS: `to` is there; `from` is at fault: as CheckpointReader::Open. INVALID_ARGUMENT:
// adapters are asked for, and there are none. OUT_OF_RANGE: a weight is more than an f16 can be.
// After an error nothing is left.
absl::Status ExportCheckpoint(Disk& disk, const std::string& from, const std::string& to,
                              const ExportOptions& options, const OnProgress& on_progress = {});

}  // namespace waferstream
