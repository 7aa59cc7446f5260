#include "checkpoint/layout.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"

namespace waferstream {

std::string TensorName(const Parameter& parameter) {
  return absl::StrCat(parameter.prefix, parameter.name);
}

std::vector<int64_t> TensorShape(const Parameter& parameter) {
  if (!parameter.two_dimensional) return {parameter.rows};
  if (parameter.transposed_in_checkpoint) return {parameter.cols, parameter.rows};
  return {parameter.rows, parameter.cols};
}

FileLayout FileLayout::OfModel(const std::vector<Parameter>& parameters) {
  return OfWeights(parameters, StoredDtype::kF32, KeyOrder::kSorted);
}

FileLayout FileLayout::OfShard(const std::vector<Parameter>& parameters, StoredDtype dtype) {
  return OfWeights(parameters, dtype, KeyOrder::kAsTheirLibrary);
}

FileLayout FileLayout::OfWeights(const std::vector<Parameter>& parameters, StoredDtype dtype,
                                 KeyOrder keys) {
  FileLayout layout;
  for (const Parameter& parameter : parameters) {
    layout.first_.push_back(static_cast<int>(layout.tensors_.size()));
    layout.Add(parameter, TensorName(parameter), dtype);
  }
  layout.Finish(keys);
  return layout;
}

FileLayout FileLayout::OfOptimizer(const std::vector<Parameter>& parameters,
                                   const StateTable& states) {
  FileLayout layout;
  for (size_t p = 0; p < states.size(); ++p) {
    layout.first_.push_back(static_cast<int>(layout.tensors_.size()));
    for (const OptimizerState& state : states[p]) {
      layout.Add(ShapeOf(state, parameters[p]),
                 absl::StrCat(state.name, ".", TensorName(parameters[p])),
                 state.dtype == Dtype::kF32 ? StoredDtype::kF32 : StoredDtype::kBf16);
    }
  }
  layout.Finish(KeyOrder::kSorted);
  return layout;
}

void FileLayout::Add(const Parameter& shape, std::string name, StoredDtype dtype) {
  TensorInfo& tensor = tensors_.emplace_back();
  tensor.name = std::move(name);
  tensor.dtype = TensorTypeOf(dtype);
  tensor.shape = TensorShape(shape);
  tensor.bytes = shape.rows * shape.cols * BytesOf(dtype);
}

void FileLayout::Finish(KeyOrder keys) {
  std::vector<TensorInfo> unsorted = std::exchange(tensors_, {});
  std::vector<int> order(unsorted.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int a, int b) { return unsorted[a].name < unsorted[b].name; });
  index_.resize(unsorted.size());
  for (const int from : order) {
    index_[from] = static_cast<int>(tensors_.size());
    tensors_.push_back(std::move(unsorted[from]));
  }
  header_ = LayOutTensors(tensors_, keys);
  bytes_ = header_.size();
  for (const TensorInfo& tensor : tensors_) bytes_ += tensor.bytes;
}

}  // namespace waferstream
