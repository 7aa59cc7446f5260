#include "checkpoint/tensor_names.h"

#include <algorithm>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "checkpoint/layout.h"
#include "checkpoint/tensor_io.h"

namespace waferstream {
namespace {

// What models compute anew and some releases of transformers saved all the same, by the ends of
// their names: masks of attention and the angles of rotary positions.
constexpr absl::string_view kBuffers[] = {
    ".attn.bias",
    ".attn.masked_bias",
    ".attn.embed_positions",
    ".attention.bias",
    ".attention.masked_bias",
    "rotary_emb.inv_freq",
    "rotary_emb.cos_cached",
    "rotary_emb.sin_cached",
};

bool IsBuffer(absl::string_view name) {
  return std::any_of(std::begin(kBuffers), std::end(kBuffers),
                     [&](absl::string_view end) { return absl::EndsWith(name, end); });
}

// The output projection that the model would have if it were not its embedding; nullopt: it has it.
std::optional<Parameter> TiedHead(ModelSpec model) {
  if (!model.tied()) return std::nullopt;
  model.set_tied(false);
  const auto untied = BuildParameters(model);
  if (!untied.ok()) return std::nullopt;
  return *std::find_if(untied->rbegin(), untied->rend(),
                       [](const Parameter& p) { return p.two_dimensional; });
}

using ByName = std::map<absl::string_view, const ModelSource::Tensor*>;

// By name without the prefix, which a base model's files do not have.
absl::StatusOr<ByName> IndexByName(const ModelSource& source, const std::string& prefix) {
  ByName by_name;
  for (const ModelSource::Tensor& tensor : source.tensors) {
    absl::string_view bare = tensor.info.name;
    absl::ConsumePrefix(&bare, prefix);
    if (by_name.emplace(bare, &tensor).second) continue;
    return absl::DataLossError(absl::StrCat(source.files[tensor.file]->path(), ": tensor '",
                                            tensor.info.name, "' is there a second time"));
  }
  return by_name;
}

}  // namespace

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

absl::StatusOr<NamedTensors> NameTensors(const std::string& path, const ModelSource& source,
                                         const std::vector<Parameter>& parameters) {
  ASSIGN_OR_RETURN(ByName by_name, IndexByName(source, parameters.front().prefix));
  NamedTensors named;
  const auto take = [&](const Parameter& p) -> absl::StatusOr<const ModelSource::Tensor*> {
    const auto found = by_name.find(p.name);
    if (found == by_name.end()) return nullptr;
    const ModelSource::Tensor* tensor = found->second;
    RETURN_IF_ERROR(CheckTensor(*source.files[tensor->file], tensor->info, p));
    by_name.erase(found);
    return tensor;
  };
  for (const Parameter& parameter : parameters) {
    ASSIGN_OR_RETURN(const ModelSource::Tensor* tensor, take(parameter));
    const bool zero = source.without_biases && absl::EndsWith(parameter.name, ".bias");
    const bool fresh = parameter.adapter && !source.model.has_lora();
    if (tensor == nullptr && !zero && !fresh) {
      return absl::InvalidArgumentError(
          absl::StrCat("checkpoint ", path, " has no tensor '", parameter.name, "'"));
    }
    named.parameters.push_back(tensor);
  }
  if (const std::optional<Parameter> head = TiedHead(source.model)) {
    ASSIGN_OR_RETURN(named.tied_head, take(*head));
  }
  for (const auto& [name, tensor] : by_name) {
    if (IsBuffer(name)) continue;
    return absl::InvalidArgumentError(absl::StrCat(source.files[tensor->file]->path(), ": tensor '",
                                                   tensor->info.name,
                                                   "' is none of the model's parameters"));
  }
  return named;
}

}  // namespace waferstream
