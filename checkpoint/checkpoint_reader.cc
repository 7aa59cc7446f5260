#include "checkpoint/checkpoint_reader.h"

#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "checkpoint/config.h"
#include "checkpoint/inspect.h"
#include "checkpoint/layout.h"

namespace waferstream {
namespace {

// model.safetensors, or the parts of a sharded model, in order of name.
absl::StatusOr<std::vector<std::string>> ModelFiles(Disk& disk, const std::string& folder) {
  ASSIGN_OR_RETURN(std::vector<std::string> names, disk.List(folder));
  std::erase_if(names, [](const std::string& name) {
    return !absl::StartsWith(name, "model") || !absl::EndsWith(name, ".safetensors");
  });
  if (names.empty()) {
    return absl::NotFoundError(absl::StrCat("checkpoint ", folder, " has no ", kModelFile));
  }
  return names;
}

absl::Status CheckTensor(const File& file, const TensorInfo& tensor, const Parameter& parameter) {
  const std::vector<int64_t> shape = TensorShape(parameter);
  if (tensor.shape != shape) {
    return absl::InvalidArgumentError(absl::StrCat(file.path(), ": tensor '", tensor.name, "' is ",
                                                   ShapeText(tensor.shape), ", the model needs ",
                                                   ShapeText(shape)));
  }
  if (!IsReadable(tensor)) {
    return absl::InvalidArgumentError(absl::StrCat(file.path(), ": tensor '", tensor.name, "' is ",
                                                   tensor.dtype, ", not F32, BF16 or F16"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CheckpointReader> CheckpointReader::Open(Disk& disk, const std::string& folder,
                                                        const ModelSpec& model,
                                                        const std::vector<Parameter>& parameters,
                                                        const std::vector<std::string>& states) {
  ASSIGN_OR_RETURN(const ModelSpec there, ReadConfig(disk, folder));
  RETURN_IF_ERROR(CheckSameModel(folder, there, model));
  CheckpointReader reader(disk, folder, parameters);
  auto manifest = ReadManifest(disk, folder);
  if (!manifest.ok() && !absl::IsNotFound(manifest.status())) return manifest.status();
  if (manifest.ok()) reader.manifest_ = *std::move(manifest);
  RETURN_IF_ERROR(reader.OpenModel());
  if (!states.empty()) RETURN_IF_ERROR(reader.OpenOptimizer(states));
  return reader;
}

absl::Status CheckpointReader::OpenModel() {
  std::map<std::string, Source> sources;  // by name without prefix
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ModelFiles(*disk_, folder_));
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(std::unique_ptr<File> file,
                     disk_->OpenForReading(absl::StrCat(folder_, "/", name)));
    ASSIGN_OR_RETURN(const std::vector<TensorInfo> tensors, ReadTensorTable(*file));
    for (const TensorInfo& tensor : tensors) {
      absl::string_view bare = tensor.name;
      if (absl::StartsWith(bare, "transformer.")) bare.remove_prefix(12);
      const Source source = {static_cast<int>(files_.size()), tensor};
      if (!sources.emplace(bare, source).second) {
        return absl::DataLossError(
            absl::StrCat(file->path(), ": tensor '", tensor.name, "' is there a second time"));
      }
    }
    files_.push_back(std::move(file));
  }
  for (const Parameter& parameter : parameters_) {
    const auto found = sources.find(parameter.name);
    if (found == sources.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("checkpoint ", folder_, " has no tensor '", parameter.name, "'"));
    }
    const Source& source = found->second;
    RETURN_IF_ERROR(CheckTensor(*files_[source.file], source.tensor, parameter));
    weights_.push_back(source);
  }
  return absl::OkStatus();
}

absl::Status CheckpointReader::OpenOptimizer(const std::vector<std::string>& states) {
  auto file = disk_->OpenForReading(absl::StrCat(folder_, "/", kOptimizerFile));
  if (absl::IsNotFound(file.status())) {
    return absl::InvalidArgumentError(
        absl::StrCat("checkpoint ", folder_, " has no ", kOptimizerFile, " to resume from"));
  }
  RETURN_IF_ERROR(file.status());
  ASSIGN_OR_RETURN(const std::vector<TensorInfo> tensors, ReadTensorTable(**file));
  std::map<absl::string_view, const TensorInfo*> by_name;
  for (const TensorInfo& tensor : tensors) by_name[tensor.name] = &tensor;
  const int index = static_cast<int>(files_.size());
  for (const std::string& state : states) {
    states_.emplace_back();
    for (const Parameter& parameter : parameters_) {
      const std::string name = absl::StrCat(state, ".", TensorName(parameter));
      const auto found = by_name.find(name);
      if (found == by_name.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat((*file)->path(), " has no tensor '", name, "'"));
      }
      RETURN_IF_ERROR(CheckTensor(**file, *found->second, parameter));
      states_.back().push_back({index, *found->second});
    }
  }
  files_.push_back(*std::move(file));
  return absl::OkStatus();
}

absl::Status CheckpointReader::ReadWeights(int parameter, RowSpan rows, float* values) const {
  return Read(weights_[parameter], parameter, rows, values);
}

absl::Status CheckpointReader::ReadState(int parameter, int state, RowSpan rows,
                                         float* values) const {
  return Read(states_[state][parameter], parameter, rows, values);
}

absl::Status CheckpointReader::Read(const Source& source, int parameter, RowSpan rows,
                                    float* values) const {
  return ReadRows(*files_[source.file], source.tensor, parameters_[parameter], rows, values);
}

absl::Status CheckpointReader::Verify() const {
  if (!manifest_) {
    return absl::FailedPreconditionError(
        absl::StrCat("checkpoint ", folder_, " has no ", kManifestFile, " to verify against"));
  }
  return VerifyFiles(*disk_, folder_, *manifest_);
}

}  // namespace waferstream
