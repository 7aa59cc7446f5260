// Which files of a checkpoint folder are the model, as Hugging Face's own loader would have it.
// What lies beside them (a half-precision variant, adapters, shards of an older save) is not read;
// where more than one choice would be possible, none is made.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/disk.h"

namespace waferstream {

inline constexpr char kTorchSuffix[] = ".bin";
inline constexpr char kIndexFile[] = "model.safetensors.index.json";
inline constexpr size_t kShardsMax = 99999;  // their names have room for five digits

// "model-00001-of-00002.safetensors": `shard` counts from 1.
std::string ShardName(size_t shard, size_t shards);

struct ModelFiles {
  std::vector<std::string> names;  // in the folder, sorted
  // Which file has which tensor, as an index says it; empty: there is none.
  std::map<std::string, std::string> places;
};

// The first of: model.safetensors; the shards that model.safetensors.index.json names; the complete
// set of model-0000K-of-0000N.safetensors; pytorch_model.bin; the shards that
// pytorch_model.bin.index.json names. NOT_FOUND: no such files; the message names what is
// there instead. DATA_LOSS: an index that is damaged or names a file that is not there.
absl::StatusOr<ModelFiles> FindModelFiles(Disk& disk, const std::string& folder);

}  // namespace waferstream
