#include "checkpoint/layout.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"

namespace waferstream {
namespace {

TensorInfo Describe(const Parameter& parameter, std::string name, StoredDtype dtype) {
  TensorInfo tensor;
  tensor.name = std::move(name);
  tensor.dtype = TensorTypeOf(dtype);
  tensor.shape = TensorShape(parameter);
  tensor.bytes = parameter.rows * parameter.cols * BytesOf(dtype);
  return tensor;
}

std::vector<TensorInfo> DescribeAll(const std::vector<Parameter>& parameters, StoredDtype dtype) {
  std::vector<TensorInfo> tensors;
  tensors.reserve(parameters.size());
  for (const Parameter& parameter : parameters) {
    tensors.push_back(Describe(parameter, TensorName(parameter), dtype));
  }
  return tensors;
}

}  // namespace

std::string TensorName(const Parameter& parameter) {
  return absl::StrCat(parameter.prefix, parameter.name);
}

std::vector<int64_t> TensorShape(const Parameter& parameter) {
  if (!parameter.is_matrix) return {parameter.rows};
  if (parameter.transposed_in_checkpoint) return {parameter.cols, parameter.rows};
  return {parameter.rows, parameter.cols};
}

std::vector<std::string> OptimizerStates(const Optimizer& optimizer) {
  if (optimizer.has_adamw()) return {"exp_avg", "exp_avg_sq"};
  if (optimizer.sgd().momentum() > 0) return {"momentum"};
  return {};
}

FileLayout FileLayout::OfModel(const std::vector<Parameter>& parameters) {
  return FileLayout(DescribeAll(parameters, StoredDtype::kF32), parameters.size(),
                    KeyOrder::kSorted);
}

FileLayout FileLayout::OfShard(const std::vector<Parameter>& parameters, StoredDtype dtype) {
  return FileLayout(DescribeAll(parameters, dtype), parameters.size(), KeyOrder::kAsTheirLibrary);
}

FileLayout FileLayout::OfOptimizer(const std::vector<Parameter>& parameters,
                                   const std::vector<std::string>& states) {
  std::vector<TensorInfo> tensors;
  for (const std::string& state : states) {
    for (const Parameter& parameter : parameters) {
      tensors.push_back(
          Describe(parameter, absl::StrCat(state, ".", TensorName(parameter)), StoredDtype::kF32));
    }
  }
  return FileLayout(std::move(tensors), parameters.size(), KeyOrder::kSorted);
}

FileLayout::FileLayout(std::vector<TensorInfo> unsorted, size_t parameters, KeyOrder keys)
    : parameters_(parameters), index_(unsorted.size()) {
  std::vector<int> order(unsorted.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int a, int b) { return unsorted[a].name < unsorted[b].name; });
  for (const int from : order) {
    index_[from] = static_cast<int>(tensors_.size());
    tensors_.push_back(std::move(unsorted[from]));
  }
  header_ = LayOutTensors(tensors_, keys);
  bytes_ = header_.size();
  for (const TensorInfo& tensor : tensors_) bytes_ += tensor.bytes;
}

}  // namespace waferstream
