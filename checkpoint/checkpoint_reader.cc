#include "checkpoint/checkpoint_reader.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "checkpoint/config.h"
#include "checkpoint/inspect.h"
#include "checkpoint/layout.h"
#include "checkpoint/model_files.h"

namespace waferstream {
namespace {

// Elements that are looked at together.
constexpr int64_t kPieceElements = 1 << 20;

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
                                                        const StateTable& states) {
  ASSIGN_OR_RETURN(const ModelSpec there, ReadConfig(disk, folder));
  RETURN_IF_ERROR(CheckSameModel(folder, there, model));
  CheckpointReader reader(disk, folder, parameters, states);
  auto manifest = ReadManifest(disk, folder);
  if (!manifest.ok() && !absl::IsNotFound(manifest.status())) return manifest.status();
  if (manifest.ok()) reader.manifest_ = *std::move(manifest);
  RETURN_IF_ERROR(reader.OpenModel());
  if (KeepsAny(states)) RETURN_IF_ERROR(reader.OpenOptimizer());
  return reader;
}

absl::Status CheckpointReader::OpenModel() {
  // By name without the prefix, which a base model's files do not have.
  std::map<std::string, Source> sources;
  const std::string& prefix = parameters_.front().prefix;
  ASSIGN_OR_RETURN(const ModelFiles model, FindModelFiles(*disk_, folder_));
  for (const std::string& name : model.names) {
    ASSIGN_OR_RETURN(std::unique_ptr<File> file,
                     disk_->OpenForReading(absl::StrCat(folder_, "/", name)));
    ASSIGN_OR_RETURN(const std::vector<TensorInfo> tensors, ReadTensorTable(*file));
    RETURN_IF_ERROR(CheckPlaces(folder_, name, model.places, tensors));
    for (const TensorInfo& tensor : tensors) {
      absl::string_view bare = tensor.name;
      absl::ConsumePrefix(&bare, prefix);
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

absl::Status CheckpointReader::OpenOptimizer() {
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
  for (size_t p = 0; p < kept_.size(); ++p) {
    states_.emplace_back();
    for (const OptimizerState& state : kept_[p]) {
      const std::string name = absl::StrCat(state.name, ".", TensorName(parameters_[p]));
      const auto found = by_name.find(name);
      if (found == by_name.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat((*file)->path(), " has no tensor '", name, "'"));
      }
      RETURN_IF_ERROR(CheckTensor(**file, *found->second, ShapeOf(state, parameters_[p])));
      states_.back().push_back({index, *found->second});
    }
  }
  files_.push_back(*std::move(file));
  return absl::OkStatus();
}

absl::Status CheckpointReader::ReadWeights(int parameter, RowSpan rows, float* values) const {
  const Source& source = weights_[parameter];
  return ReadRows(*files_[source.file], source.tensor, parameters_[parameter], rows, values);
}

absl::Status CheckpointReader::ReadState(int parameter, int state, RowSpan rows,
                                         std::byte* values) const {
  const Source& source = states_[parameter][state];
  const OptimizerState& kept = kept_[parameter][state];
  return ReadRows(*files_[source.file], source.tensor, ShapeOf(kept, parameters_[parameter]), rows,
                  kept.dtype, values);
}

absl::Status CheckpointReader::CheckFinite() const {
  std::vector<float> values;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& p = parameters_[i];
    const int64_t rows_max = std::max<int64_t>(1, kPieceElements / p.cols);
    for (int64_t row = 0; row < p.rows; row += rows_max) {
      const RowSpan rows = {row, std::min(rows_max, p.rows - row)};
      values.resize(rows.count * p.cols);
      RETURN_IF_ERROR(ReadWeights(static_cast<int>(i), rows, values.data()));
      const auto bad = std::find_if(values.begin(), values.end(),
                                    [](float value) { return !std::isfinite(value); });
      if (bad == values.end()) continue;
      return absl::DataLossError(absl::StrCat("checkpoint ", folder_, ": tensor '", TensorName(p),
                                              "' holds ", *bad, " in row ",
                                              row + (bad - values.begin()) / p.cols));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckpointReader::Verify() const {
  if (!manifest_) {
    return absl::FailedPreconditionError(
        absl::StrCat("checkpoint ", folder_, " has no ", kManifestFile, " to verify against"));
  }
  return VerifyFiles(*disk_, folder_, *manifest_);
}

}  // namespace waferstream
