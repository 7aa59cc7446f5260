#include "checkpoint/llmc.h"

#include <array>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "plan/model.h"

namespace waferstream {
namespace {

constexpr int32_t kMagic = 20240326;
constexpr int32_t kVersionF32 = 3, kVersionBf16 = 5;
// Rows of the embedding beyond the tokens are there for the speed of a GPU.
constexpr int32_t kPaddedVocabMax = 1 << 21;

struct Header {
  int32_t magic, version, context, vocab, layers, heads, hidden, padded_vocab;
  std::array<int32_t, 248> unused;
};
static_assert(sizeof(Header) == 1024);

ModelSpec ModelOf(const Header& h) {
  ModelSpec model;
  model.set_family("gpt2");
  model.set_layers(h.layers);
  model.set_heads(h.heads);
  model.set_hidden(h.hidden);
  model.set_ffn(4 * h.hidden);
  model.set_context(h.context);
  model.set_vocab(h.vocab);
  model.set_tied(true);
  model.set_norm_eps(1e-5);
  return model;
}

// Lays the tensors out one after the other. No product overflows: the model's sizes are checked.
class Table {
 public:
  Table(bool bf16, std::vector<ModelSource::Tensor>& tensors) : bf16_(bf16), tensors_(tensors) {}

  // `padding`: elements after it that are not its own.
  void Add(std::string name, std::vector<int64_t> shape, int64_t padding = 0) {
    const uint64_t width = bf16_ ? 2 : 4;
    TensorInfo tensor;
    tensor.name = std::move(name);
    tensor.dtype = bf16_ ? "BF16" : "F32";
    tensor.shape = std::move(shape);
    tensor.offset = at_;
    tensor.bytes = width;
    for (const int64_t n : tensor.shape) tensor.bytes *= n;
    at_ += tensor.bytes + padding * width;
    tensors_.push_back({0, std::move(tensor)});
  }
  void AddPerLayer(int32_t layers, const char* name, const std::vector<int64_t>& shape) {
    for (int32_t i = 0; i < layers; ++i) Add(absl::StrCat("h.", i, ".", name), shape);
  }
  uint64_t end() const { return at_; }

 private:
  const bool bf16_;
  std::vector<ModelSource::Tensor>& tensors_;
  uint64_t at_ = sizeof(Header);
};

uint64_t LayOut(const Header& h, std::vector<ModelSource::Tensor>& tensors) {
  const int64_t c = h.hidden;
  Table table(h.version == kVersionBf16, tensors);
  table.Add("wte.weight", {h.vocab, c}, (h.padded_vocab - h.vocab) * c);
  table.Add("wpe.weight", {h.context, c});
  table.AddPerLayer(h.layers, "ln_1.weight", {c});
  table.AddPerLayer(h.layers, "ln_1.bias", {c});
  table.AddPerLayer(h.layers, "attn.c_attn.weight", {3 * c, c});
  table.AddPerLayer(h.layers, "attn.c_attn.bias", {3 * c});
  table.AddPerLayer(h.layers, "attn.c_proj.weight", {c, c});
  table.AddPerLayer(h.layers, "attn.c_proj.bias", {c});
  table.AddPerLayer(h.layers, "ln_2.weight", {c});
  table.AddPerLayer(h.layers, "ln_2.bias", {c});
  table.AddPerLayer(h.layers, "mlp.c_fc.weight", {4 * c, c});
  table.AddPerLayer(h.layers, "mlp.c_fc.bias", {4 * c});
  table.AddPerLayer(h.layers, "mlp.c_proj.weight", {c, 4 * c});
  table.AddPerLayer(h.layers, "mlp.c_proj.bias", {c});
  table.Add("ln_f.weight", {c});
  table.Add("ln_f.bias", {c});
  return table.end();
}

absl::Status CheckHeader(const std::string& path, const Header& h) {
  const auto refuse = [&](const auto&... what) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", what...));
  };
  if (h.version != kVersionF32 && h.version != kVersionBf16) {
    return refuse("is of version ", h.version, " of llm.c's model files; ", kVersionF32, " and ",
                  kVersionBf16, " are read");
  }
  for (const int32_t size : {h.context, h.vocab, h.layers, h.heads, h.hidden}) {
    if (size <= 0) return refuse("its header has a size of ", size);
  }
  if (h.padded_vocab < h.vocab || h.padded_vocab > kPaddedVocabMax) {
    return refuse("its header has ", h.padded_vocab, " rows for ", h.vocab, " tokens");
  }
  const absl::Status possible = BuildParameters(ModelOf(h)).status();
  return possible.ok() ? possible : refuse(possible.message());
}

}  // namespace

absl::StatusOr<bool> IsLlmC(const File& file) {
  ASSIGN_OR_RETURN(const uint64_t bytes, file.Size());
  int32_t magic = 0;
  if (bytes < sizeof(Header)) return false;
  RETURN_IF_ERROR(file.ReadAt(0, &magic, sizeof(magic)));
  return magic == kMagic;
}

absl::StatusOr<ModelSource> OpenLlmC(std::unique_ptr<File> file) {
  Header header;
  RETURN_IF_ERROR(file->ReadAt(0, &header, sizeof(header)));
  RETURN_IF_ERROR(CheckHeader(file->path(), header));
  ModelSource source;
  source.model = ModelOf(header);
  source.linear = true;
  const uint64_t end = LayOut(header, source.tensors);
  ASSIGN_OR_RETURN(const uint64_t bytes, file->Size());
  if (bytes != end) {
    return absl::DataLossError(
        absl::StrCat(file->path(), ": has ", bytes, " bytes, its header asks for ", end));
  }
  source.files.push_back(std::move(file));
  return source;
}

}  // namespace waferstream
