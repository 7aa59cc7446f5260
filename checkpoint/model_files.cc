#include "checkpoint/model_files.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/json.h"
#include "base/status.h"
#include "base/user_input.h"
#include "checkpoint/layout.h"

namespace waferstream {
namespace {

constexpr uint64_t kIndexBytesMax = 64 << 20;

bool Contains(const std::vector<std::string>& names, absl::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// What a kind of file is called.
struct Naming {
  const char* whole;
  const char* index;
  absl::string_view suffix;
  const char* what;
};
constexpr Naming kSafetensors = {kModelFile, kIndexFile, ".safetensors", "a safetensors file"};
constexpr Naming kTorch = {"pytorch_model.bin", "pytorch_model.bin.index.json", kTorchSuffix,
                           "a file of PyTorch's"};

absl::Status CheckEntry(const std::string& tensor, const nlohmann::json& file,
                        const Naming& naming) {
  if (!file.is_string()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", tensor, "\" has no file"));
  }
  const std::string& name = file.get_ref<const std::string&>();
  // A path would lead out of the folder.
  RETURN_IF_ERROR(CheckName("weight_map", name));
  if (absl::EndsWith(name, naming.suffix)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is not ", naming.what));
}

absl::StatusOr<std::map<std::string, std::string>> ParseIndex(const std::string& text,
                                                              const Naming& naming) {
  ASSIGN_OR_RETURN(const nlohmann::json index, ParseJson(text));
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (map == index.end() || !map->is_object() || map->empty()) {
    return absl::InvalidArgumentError("has no weight_map");
  }
  std::map<std::string, std::string> places;
  for (const auto& [tensor, file] : map->items()) {
    RETURN_IF_ERROR(CheckEntry(tensor, file, naming));
    places[tensor] = file;
  }
  return places;
}

absl::StatusOr<ModelFiles> FilesOfIndex(Disk& disk, const std::string& folder,
                                        const std::vector<std::string>& there,
                                        const Naming& naming) {
  const std::string path = absl::StrCat(folder, "/", naming.index);
  ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(disk, path, kIndexBytesMax));
  auto places = ParseIndex(text, naming);
  if (!places.ok()) {
    return absl::DataLossError(absl::StrCat(path, ": ", places.status().message()));
  }
  std::set<std::string> names;
  for (const auto& [tensor, file] : *places) {
    names.insert(file);
    if (Contains(there, file)) continue;
    return absl::DataLossError(absl::StrCat(path, ": names ", file, ", which is not there"));
  }
  return ModelFiles{{names.begin(), names.end()}, *std::move(places)};
}

// The names of a model in n shards.
std::vector<std::string> ShardNames(size_t n) {
  std::vector<std::string> names;
  for (size_t i = 1; i <= n; ++i) {
    names.push_back(ShardName(i, n));
  }
  return names;
}

// Nothing is there that this reader takes; says what is.
absl::Status NoModel(const std::string& folder, const std::vector<std::string>& candidates) {
  const std::string what = absl::StrCat("checkpoint ", folder, " has no ", kModelFile);
  if (!candidates.empty()) {
    return absl::NotFoundError(absl::StrCat(what, " and no ", kIndexFile, " to choose among ",
                                            absl::StrJoin(candidates, ", "),
                                            "; give the one that is meant that name"));
  }
  return absl::NotFoundError(absl::StrCat(what, " and no ", kTorch.whole));
}

}  // namespace

std::string ShardName(size_t shard, size_t shards) {
  return absl::StrFormat("model-%05d-of-%05d.safetensors", shard, shards);
}

absl::StatusOr<ModelFiles> FindModelFiles(Disk& disk, const std::string& folder) {
  ASSIGN_OR_RETURN(const std::vector<std::string> there, disk.List(folder));
  if (Contains(there, kModelFile)) return ModelFiles{{kModelFile}, {}};
  if (Contains(there, kIndexFile)) return FilesOfIndex(disk, folder, there, kSafetensors);
  std::vector<std::string> candidates;
  std::copy_if(there.begin(), there.end(), std::back_inserter(candidates), [](const auto& name) {
    return absl::StartsWith(name, "model") && absl::EndsWith(name, kSafetensors.suffix);
  });
  // All of one set and nothing else: no choice.
  const size_t n = candidates.size();
  if (n > 0 && n <= kShardsMax && candidates == ShardNames(n)) return ModelFiles{candidates, {}};
  if (n > 0) return NoModel(folder, candidates);
  if (Contains(there, kTorch.whole)) return ModelFiles{{kTorch.whole}, {}};
  if (Contains(there, kTorch.index)) return FilesOfIndex(disk, folder, there, kTorch);
  return NoModel(folder, candidates);
}

}  // namespace waferstream
