#include "checkpoint/nanogpt.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "checkpoint/torch_file.h"

namespace waferstream {
namespace {

using Kind = PickleValue::Kind;

constexpr char kCompiledPrefix[] = "_orig_mod.";  // of torch.compile

// What its model takes; dropout is not the weights'.
constexpr absl::string_view kArguments[] = {"n_layer",    "n_head", "n_embd", "block_size",
                                            "vocab_size", "bias",   "dropout"};

class Arguments {
 public:
  Arguments(const TorchFile& file, const PickleValue& dict) : file_(file), dict_(dict) {}

  // A fork's model has more of them, and is another one.
  absl::Status CheckKnown() const {
    for (size_t i = 0; i + 1 < dict_.items.size(); i += 2) {
      const std::string& name = file_.content.Item(dict_, i).text;
      if (std::find(std::begin(kArguments), std::end(kArguments), name) != std::end(kArguments)) {
        continue;
      }
      return Refuse(absl::StrCat(name, " is nothing that nanoGPT's own model has"));
    }
    return absl::OkStatus();
  }

  absl::Status Size(const char* name, uint32_t& size) const {
    const PickleValue* value = file_.content.Find(dict_, name);
    if (value == nullptr || value->kind != Kind::kWhole || value->whole <= 0 ||
        value->whole > UINT32_MAX) {
      return Refuse(absl::StrCat(name, " is not a positive number"));
    }
    size = static_cast<uint32_t>(value->whole);
    return absl::OkStatus();
  }

  absl::Status Flag(const char* name, bool& flag) const {
    const PickleValue* value = file_.content.Find(dict_, name);
    if (value == nullptr) return absl::OkStatus();
    if (value->kind != Kind::kBool) return Refuse(absl::StrCat(name, " is not a boolean"));
    flag = value->whole != 0;
    return absl::OkStatus();
  }

 private:
  absl::Status Refuse(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(file_.path, ": model_args: ", what));
  }

  const TorchFile& file_;
  const PickleValue& dict_;
};

absl::StatusOr<ModelSpec> ModelOf(const Arguments& arguments) {
  uint32_t layers, heads, hidden, context, vocab;
  RETURN_IF_ERROR(arguments.CheckKnown());
  RETURN_IF_ERROR(arguments.Size("n_layer", layers));
  RETURN_IF_ERROR(arguments.Size("n_head", heads));
  RETURN_IF_ERROR(arguments.Size("n_embd", hidden));
  RETURN_IF_ERROR(arguments.Size("block_size", context));
  RETURN_IF_ERROR(arguments.Size("vocab_size", vocab));
  ModelSpec model;
  model.set_family("gpt2");
  model.set_layers(layers);
  model.set_heads(heads);
  model.set_hidden(hidden);
  model.set_ffn(4 * hidden);
  model.set_context(context);
  model.set_vocab(vocab);
  model.set_tied(true);
  model.set_norm_eps(1e-5);
  model.set_exact_gelu(true);
  return model;
}

}  // namespace

absl::StatusOr<ModelSource> OpenNanoGpt(std::unique_ptr<File> file) {
  ASSIGN_OR_RETURN(const TorchFile torch, OpenTorchFile(*file));
  const PickleValue* weights = torch.content.Find(torch.root(), "model");
  const PickleValue* model_args = torch.content.Find(torch.root(), "model_args");
  if (weights == nullptr || model_args == nullptr || model_args->kind != Kind::kDict) {
    return absl::InvalidArgumentError(absl::StrCat(
        file->path(), ": has no model and model_args, as nanoGPT's checkpoints have; weights alone",
        " are read from a folder, with a config.json, as pytorch_model.bin"));
  }
  const Arguments arguments(torch, *model_args);
  ModelSource source;
  bool biases = true;
  ASSIGN_OR_RETURN(source.model, ModelOf(arguments));
  RETURN_IF_ERROR(arguments.Flag("bias", biases));
  source.linear = true;
  source.without_biases = !biases;
  ASSIGN_OR_RETURN(std::vector<TensorInfo> tensors, TensorsOf(torch, *weights, "model"));
  for (TensorInfo& tensor : tensors) {
    tensor.name = std::string(absl::StripPrefix(tensor.name, kCompiledPrefix));
    source.tensors.push_back({0, std::move(tensor)});
  }
  source.files.push_back(std::move(file));
  return source;
}

}  // namespace waferstream
