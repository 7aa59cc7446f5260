#include "checkpoint/open_model.h"

#include <map>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "checkpoint/config.h"
#include "checkpoint/llmc.h"
#include "checkpoint/model_files.h"
#include "checkpoint/nanogpt.h"
#include "checkpoint/stored_zip.h"
#include "checkpoint/torch_file.h"

namespace waferstream {
namespace {

absl::Status CheckPlaces(const std::string& folder, const std::string& file,
                         const std::map<std::string, std::string>& places,
                         const std::vector<TensorInfo>& tensors) {
  std::set<absl::string_view> names;
  for (const TensorInfo& tensor : tensors) names.insert(tensor.name);
  for (const auto& [tensor, place] : places) {
    if (place != file || names.count(tensor) > 0) continue;
    return absl::DataLossError(absl::StrCat("checkpoint ", folder, ": its index says that ", file,
                                            " has the tensor '", tensor, "', but it has not"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ModelSource> OpenFolder(Disk& disk, const std::string& path) {
  ModelSource source;
  ASSIGN_OR_RETURN(source.model, ReadConfig(disk, path));
  ASSIGN_OR_RETURN(const ModelFiles model, FindModelFiles(disk, path));
  for (const std::string& name : model.names) {
    ASSIGN_OR_RETURN(std::unique_ptr<File> file,
                     disk.OpenForReading(absl::StrCat(path, "/", name)));
    const bool torch = absl::EndsWith(name, kTorchSuffix);
    ASSIGN_OR_RETURN(std::vector<TensorInfo> tensors,
                     torch ? ReadTorchTable(*file) : ReadTensorTable(*file));
    RETURN_IF_ERROR(CheckPlaces(path, name, model.places, tensors));
    const int index = static_cast<int>(source.files.size());
    for (TensorInfo& tensor : tensors) source.tensors.push_back({index, std::move(tensor)});
    source.files.push_back(std::move(file));
  }
  return source;
}

absl::StatusOr<ModelSource> OpenFile(std::unique_ptr<File> file) {
  ASSIGN_OR_RETURN(const bool is_llmc, IsLlmC(*file));
  if (is_llmc) return OpenLlmC(std::move(file));
  ASSIGN_OR_RETURN(const bool is_zip, IsZip(*file));
  if (is_zip) return OpenNanoGpt(std::move(file));
  return absl::InvalidArgumentError(absl::StrCat(
      file->path(), ": is no folder, and neither nanoGPT's checkpoint nor llm.c's model file"));
}

}  // namespace

absl::StatusOr<ModelSource> OpenModel(Disk& disk, const std::string& path) {
  auto file = disk.OpenForReading(path);
  return file.ok() ? OpenFile(*std::move(file)) : OpenFolder(disk, path);
}

absl::StatusOr<ModelSpec> ReadModel(Disk& disk, const std::string& path) {
  const auto file = disk.OpenForReading(path);
  if (!file.ok()) return ReadConfig(disk, path);
  ASSIGN_OR_RETURN(ModelSource source, OpenModel(disk, path));
  return std::move(source.model);
}

}  // namespace waferstream
