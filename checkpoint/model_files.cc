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

constexpr char kIndexFile[] = "model.safetensors.index.json";
constexpr absl::string_view kSuffix = ".safetensors";
constexpr uint64_t kIndexBytesMax = 64 << 20;
constexpr size_t kShardsMax = 99999;  // the name has room for five digits

bool Contains(const std::vector<std::string>& names, absl::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

absl::Status CheckEntry(const std::string& tensor, const nlohmann::json& file) {
  if (!file.is_string()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", tensor, "\" has no file"));
  }
  const std::string& name = file.get_ref<const std::string&>();
  // A path would lead out of the folder.
  RETURN_IF_ERROR(CheckName("weight_map", name));
  if (absl::EndsWith(name, kSuffix)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is not a safetensors file"));
}

absl::StatusOr<std::map<std::string, std::string>> ParseIndex(const std::string& text) {
  ASSIGN_OR_RETURN(const nlohmann::json index, ParseJson(text));
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (map == index.end() || !map->is_object() || map->empty()) {
    return absl::InvalidArgumentError("has no weight_map");
  }
  std::map<std::string, std::string> places;
  for (const auto& [tensor, file] : map->items()) {
    RETURN_IF_ERROR(CheckEntry(tensor, file));
    places[tensor] = file;
  }
  return places;
}

absl::StatusOr<ModelFiles> FilesOfIndex(Disk& disk, const std::string& folder,
                                        const std::vector<std::string>& there) {
  const std::string path = absl::StrCat(folder, "/", kIndexFile);
  ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(disk, path, kIndexBytesMax));
  auto places = ParseIndex(text);
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
    names.push_back(absl::StrFormat("model-%05d-of-%05d.safetensors", i, n));
  }
  return names;
}

// Nothing is there that this reader takes; says what is.
absl::Status NoModel(const std::string& folder, const std::vector<std::string>& candidates,
                     const std::vector<std::string>& there) {
  const std::string what = absl::StrCat("checkpoint ", folder, " has no ", kModelFile);
  if (!candidates.empty()) {
    return absl::NotFoundError(absl::StrCat(what, " and no ", kIndexFile, " to choose among ",
                                            absl::StrJoin(candidates, ", "),
                                            "; give the one that is meant that name"));
  }
  for (const std::string& name : there) {
    const bool torch = absl::StartsWith(name, "pytorch_model") && !absl::EndsWith(name, ".json");
    if (!torch) continue;
    return absl::NotFoundError(
        absl::StrCat(what, "; ", name, " is not read, save the model as safetensors"));
  }
  return absl::NotFoundError(what);
}

}  // namespace

absl::StatusOr<ModelFiles> FindModelFiles(Disk& disk, const std::string& folder) {
  ASSIGN_OR_RETURN(const std::vector<std::string> there, disk.List(folder));
  if (Contains(there, kModelFile)) return ModelFiles{{kModelFile}, {}};
  if (Contains(there, kIndexFile)) return FilesOfIndex(disk, folder, there);
  std::vector<std::string> candidates;
  std::copy_if(there.begin(), there.end(), std::back_inserter(candidates), [](const auto& name) {
    return absl::StartsWith(name, "model") && absl::EndsWith(name, kSuffix);
  });
  // All of one set and nothing else: no choice.
  const size_t n = candidates.size();
  if (n > 0 && n <= kShardsMax && candidates == ShardNames(n)) return ModelFiles{candidates, {}};
  return NoModel(folder, candidates, there);
}

}  // namespace waferstream
