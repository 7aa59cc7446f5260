// GPT-NeoX: one product for q, k and v, packed head by head, of which a part is turned; attention
// and MLP beside each other, each behind its own norm, unless model.sequential.
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "plan/families/families.h"
#include "plan/families/heads.h"

namespace waferstream {
namespace {

constexpr double kInitStd = 0.02;

class LayerWriter {
 public:
  LayerWriter(const ModelSpec& m, const Heads& heads, GraphBuilder& b)
      : m_(m), heads_(heads), b_(b) {}

  // From residual to residual.
  int Write(int layer, int input) {
    h_ = absl::StrCat("layers.", layer, ".");
    b_.SetLayer(layer, input);
    const int middle = Attend(Norm("norm 1", "input_layernorm", input), input);
    const int second = m_.sequential() ? middle : input;
    return Feed(Norm("norm 2", "post_attention_layernorm", second), middle);
  }

 private:
  int Norm(const char* name, const char* parameter, int x) {
    const int gain = b_.Vector(absl::StrCat(h_, parameter, ".weight"), m_.hidden(), 1);
    const int bias = b_.Vector(absl::StrCat(h_, parameter, ".bias"), m_.hidden(), 0);
    return b_.LayerNorm(name, x, gain, bias, m_.norm_eps());
  }

  int Project(const char* name, const char* parameter, int x, int64_t rows, int64_t cols,
              int residual = -1) {
    const int matrix = b_.Matrix(absl::StrCat(h_, parameter, ".weight"), rows, cols, kInitStd);
    const int bias = b_.Vector(absl::StrCat(h_, parameter, ".bias"), rows, 0);
    return b_.Matmul(name, x, matrix, {.bias = bias, .residual = residual});
  }

  int Attend(int x, int residual) {
    const int64_t dim = heads_.dim, wide = heads_.queries * dim;
    const int qkv = Project("qkv", "attention.query_key_value", x, 3 * wide, m_.hidden());
    const Attributes attributes{.head_dim = dim,
                                .q = {0, 0, 3 * dim, heads_.queries},
                                .k = {0, dim, 3 * dim, heads_.queries},
                                .v = {0, 2 * dim, 3 * dim, heads_.queries},
                                .rotary = heads_.rotary};
    const std::vector<int> turned = b_.Rotary(h_ + "attention rotary", {qkv}, attributes);
    const int out = b_.Attention(h_ + "attention", turned, attributes);
    return Project("middle residual", "attention.dense", out, m_.hidden(), wide, residual);
  }

  int Feed(int x, int residual) {
    const int up = Project("up", "mlp.dense_h_to_4h", x, m_.ffn(), m_.hidden());
    const int gelu = b_.Gelu("gelu", h_ + "mlp gelu", up, GraphBuilder::kExact);
    return Project("residual", "mlp.dense_4h_to_h", gelu, m_.hidden(), m_.ffn(), residual);
  }

  const ModelSpec& m_;
  const Heads& heads_;
  GraphBuilder& b_;
  std::string h_;
};

}  // namespace

absl::StatusOr<Model> BuildGptNeox(const ModelSpec& m) {
  ASSIGN_OR_RETURN(const Heads heads, HeadsOf(m));
  RETURN_IF_ERROR(CheckOwnKeys(m));
  GraphBuilder b(m);
  b.SetPrefix("gpt_neox.");
  const int tokens = b.Matrix("embed_in.weight", m.vocab(), m.hidden(), kInitStd);
  int residual = b.Drop(b.EmbedTokens("residual", tokens, m.hidden()));
  LayerWriter layers(m, heads, b);
  for (uint32_t i = 0; i < m.layers(); ++i) residual = layers.Write(static_cast<int>(i), residual);
  b.SetLayer(-1, residual);
  const int gain = b.Vector("final_layer_norm.weight", m.hidden(), 1);
  const int bias = b.Vector("final_layer_norm.bias", m.hidden(), 0);
  const int norm = b.LayerNorm("final norm", residual, gain, bias, m.norm_eps());
  b.SetPrefix("");
  b.Head(norm, m.tied() ? tokens : b.Matrix("embed_out.weight", m.vocab(), m.hidden(), kInitStd));
  return b.Take();
}

}  // namespace waferstream
