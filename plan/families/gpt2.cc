// GPT-2: learned positions, LayerNorm before each half of a layer, one product for q, k and v.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "plan/families/families.h"

namespace waferstream {
namespace {

constexpr double kInitStd = 0.02;

// One layer: from residual to residual.
int AddLayer(const ModelSpec& m, int layer, int input, GraphBuilder& b) {
  const std::string h = absl::StrCat("h.", layer, ".");
  // Scaled so that the residual's variance does not grow with depth.
  const double residual_std = kInitStd / std::sqrt(2.0 * m.layers());
  const int64_t hidden = m.hidden();
  b.SetLayer(layer, input);

  const auto norm = [&](const char* name, const char* parameter, int x) {
    const int gain = b.Vector(absl::StrCat(h, parameter, ".weight"), hidden, 1);
    const int bias = b.Vector(absl::StrCat(h, parameter, ".bias"), hidden, 0);
    return b.LayerNorm(name, x, gain, bias, m.norm_eps());
  };
  struct Projection {
    int64_t rows, cols;
    double std = kInitStd;
    int residual = -1;
  };
  const auto project = [&](const char* name, const char* parameter, int x, const Projection& p) {
    const int matrix =
        b.TransposedMatrix(absl::StrCat(h, parameter, ".weight"), p.rows, p.cols, p.std);
    const int bias = b.Vector(absl::StrCat(h, parameter, ".bias"), p.rows, 0);
    return b.Matmul(name, x, matrix, {.bias = bias, .residual = p.residual});
  };

  const int norm_1 = norm("norm 1", "ln_1", input);
  const int qkv = project("qkv", "attn.c_attn", norm_1, {3 * hidden, hidden});
  const int64_t heads = m.heads(), head_dim = hidden / heads;
  const int attended = b.Attention(h + "attn", {qkv},
                                   {.head_dim = head_dim,
                                    .q = {0, 0, head_dim, heads},
                                    .k = {0, hidden, head_dim, heads},
                                    .v = {0, 2 * hidden, head_dim, heads}});
  const int middle =
      project("middle residual", "attn.c_proj", attended, {hidden, hidden, residual_std, input});
  const int norm_2 = norm("norm 2", "ln_2", middle);
  const int up = project("up", "mlp.c_fc", norm_2, {m.ffn(), hidden});
  const int gelu = b.Gelu("gelu", h + "mlp gelu", up,
                          m.exact_gelu() ? GraphBuilder::kExact : GraphBuilder::kTanh);
  return project("residual", "mlp.c_proj", gelu, {hidden, m.ffn(), residual_std, middle});
}

}  // namespace

absl::StatusOr<Model> BuildGpt2(const ModelSpec& m) {
  if (m.hidden() % m.heads() != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model.hidden: ", m.hidden(), " is not divisible by model.heads: ", m.heads()));
  }
  const int64_t hidden = m.hidden();
  GraphBuilder b(m);
  b.SetPrefix("transformer.");
  const int tokens = b.Matrix("wte.weight", m.vocab(), hidden, kInitStd);
  const int positions = b.Matrix("wpe.weight", m.context(), hidden, kInitStd);
  int residual = b.Drop(b.EmbedPositions(b.EmbedTokens("residual", tokens, hidden), positions));
  for (uint32_t i = 0; i < m.layers(); ++i) {
    residual = AddLayer(m, static_cast<int>(i), residual, b);
  }
  b.SetLayer(-1, residual);
  const int gain = b.Vector("ln_f.weight", hidden, 1);
  const int bias = b.Vector("ln_f.bias", hidden, 0);
  const int norm = b.LayerNorm("final norm", residual, gain, bias, m.norm_eps());
  b.SetPrefix("");
  b.Head(norm, m.tied() ? tokens : b.Matrix("lm_head.weight", m.vocab(), hidden, kInitStd));
  return b.Take();
}

}  // namespace waferstream
