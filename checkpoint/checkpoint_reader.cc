#include "checkpoint/checkpoint_reader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "checkpoint/config.h"
#include "checkpoint/inspect.h"
#include "checkpoint/layout.h"
#include "checkpoint/open_model.h"
#include "checkpoint/tensor_names.h"

namespace waferstream {

absl::StatusOr<CheckpointReader> CheckpointReader::Open(Disk& disk, const std::string& path,
                                                        const ModelSpec& model,
                                                        const std::vector<Parameter>& parameters,
                                                        const StateTable& states) {
  ASSIGN_OR_RETURN(ModelSource source, waferstream::OpenModel(disk, path));
  RETURN_IF_ERROR(CheckSameModel(path, source.model, model));
  CheckpointReader reader(disk, path, parameters, states);
  // Another program's file has none, and nothing beside it.
  if (disk.Exists(absl::StrCat(path, "/", kManifestFile))) {
    ASSIGN_OR_RETURN(reader.manifest_, ReadManifest(disk, path));
  }
  RETURN_IF_ERROR(reader.OpenModel(std::move(source)));
  if (KeepsAny(states)) RETURN_IF_ERROR(reader.OpenOptimizer());
  return reader;
}

absl::Status CheckpointReader::OpenModel(ModelSource source) {
  for (Parameter& p : parameters_) p.transposed_in_checkpoint &= !source.linear;
  ASSIGN_OR_RETURN(const NamedTensors named, NameTensors(folder_, source, parameters_));
  for (const ModelSource::Tensor* tensor : named.parameters) {
    weights_.push_back(tensor == nullptr ? std::nullopt : std::optional(*tensor));
  }
  if (named.tied_head != nullptr) tied_head_ = *named.tied_head;
  files_ = std::move(source.files);
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
  if (weights_[parameter].has_value()) return Read(*weights_[parameter], parameter, rows, values);
  std::fill_n(values, rows.count * parameters_[parameter].cols, 0.0f);
  return absl::OkStatus();
}

absl::Status CheckpointReader::ReadState(int parameter, int state, RowSpan rows,
                                         std::byte* values) const {
  const ModelSource::Tensor& source = states_[parameter][state];
  const OptimizerState& kept = kept_[parameter][state];
  return ReadRows(*files_[source.file], source.info, ShapeOf(kept, parameters_[parameter]), rows,
                  kept.dtype, values);
}

absl::Status CheckpointReader::Read(const ModelSource::Tensor& source, int parameter, RowSpan rows,
                                    float* values) const {
  return ReadRows(*files_[source.file], source.info, parameters_[parameter], rows, values);
}

absl::Status CheckpointReader::ReadFinite(int parameter, RowSpan rows, float* values) const {
  RETURN_IF_ERROR(ReadWeights(parameter, rows, values));
  const Parameter& p = parameters_[parameter];
  const float* first = values;
  const float* end = values + rows.count * p.cols;
  const float* bad = std::find_if(first, end, [](float value) { return !std::isfinite(value); });
  if (bad == end) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("checkpoint ", folder_, ": tensor '", TensorName(p),
                                          "' holds ", *bad, " in row ",
                                          rows.first + (bad - values) / p.cols));
}

absl::Status CheckpointReader::CheckTiedHead() const {
  if (!tied_head_.has_value()) return absl::OkStatus();
  const auto embedding = std::find_if(parameters_.begin(), parameters_.end(),
                                      [](const Parameter& p) { return p.contributions == 2; });
  WS_CHECK(embedding != parameters_.end());
  const int index = static_cast<int>(embedding - parameters_.begin());
  std::vector<float> values, again;
  return ForPieces(*embedding, [&](RowSpan rows) {
    values.resize(rows.count * embedding->cols);
    again.resize(values.size());
    RETURN_IF_ERROR(ReadWeights(index, rows, values.data()));
    RETURN_IF_ERROR(Read(*tied_head_, index, rows, again.data()));
    if (std::memcmp(values.data(), again.data(), values.size() * sizeof(float)) == 0) {
      return absl::OkStatus();
    }
    return absl::DataLossError(absl::StrCat(
        "checkpoint ", folder_, ": tensor '", tied_head_->info.name, "' differs from '",
        TensorName(*embedding), "', although the configuration says that they are one (tied)"));
  });
}

absl::Status CheckpointReader::CheckContent() const {
  std::vector<float> values;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& p = parameters_[i];
    RETURN_IF_ERROR(ForPieces(p, [&](RowSpan rows) {
      values.resize(rows.count * p.cols);
      return ReadFinite(static_cast<int>(i), rows, values.data());
    }));
  }
  return CheckTiedHead();
}

absl::Status CheckpointReader::Verify() const {
  if (!manifest_) {
    return absl::FailedPreconditionError(
        absl::StrCat("checkpoint ", folder_, " has no ", kManifestFile, " to verify against"));
  }
  return VerifyFiles(*disk_, folder_, *manifest_);
}

}  // namespace waferstream
