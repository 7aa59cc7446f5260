// GPT-J: attention and MLP beside each other behind one norm, neighbouring columns turned in pairs,
// and a bias of the output projection.
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "plan/families/families.h"
#include "plan/families/heads.h"

namespace waferstream {
namespace {

constexpr double kInitStd = 0.02;

int AddLayer(const ModelSpec& m, const Heads& heads, int layer, int input, GraphBuilder& b) {
  const std::string h = absl::StrCat("h.", layer, ".");
  const int64_t hidden = m.hidden(), wide = heads.queries * heads.dim;
  b.SetLayer(layer, input);
  const auto matrix = [&](const char* parameter, int64_t rows, int64_t cols) {
    return b.Matrix(absl::StrCat(h, parameter, ".weight"), rows, cols, kInitStd);
  };
  const int gain = b.Vector(h + "ln_1.weight", hidden, 1);
  const int shift = b.Vector(h + "ln_1.bias", hidden, 0);
  const int x = b.LayerNorm("norm", input, gain, shift, m.norm_eps());

  const int q = b.Matmul("q", x, matrix("attn.q_proj", wide, hidden), {});
  const int k = b.Matmul("k", x, matrix("attn.k_proj", wide, hidden), {});
  const int v = b.Matmul("v", x, matrix("attn.v_proj", wide, hidden), {});
  const int out = AttendTurned(h + "attn", heads, /*window=*/0, m, {q, k, v}, b);
  const int middle =
      b.Matmul("middle residual", out, matrix("attn.out_proj", hidden, wide), {.residual = input});

  const int up_matrix = matrix("mlp.fc_in", m.ffn(), hidden);
  const int up_bias = b.Vector(h + "mlp.fc_in.bias", m.ffn(), 0);
  const int up = b.Matmul("up", x, up_matrix, {.bias = up_bias});
  const int gelu = b.Gelu("gelu", h + "mlp gelu", up);
  const int down_matrix = matrix("mlp.fc_out", hidden, m.ffn());
  const int down_bias = b.Vector(h + "mlp.fc_out.bias", hidden, 0);
  return b.Matmul("residual", gelu, down_matrix, {.bias = down_bias, .residual = middle});
}

}  // namespace

absl::StatusOr<Model> BuildGptj(const ModelSpec& m) {
  ASSIGN_OR_RETURN(Heads heads, HeadsOf(m));
  RETURN_IF_ERROR(CheckOwnKeys(m));
  RETURN_IF_ERROR(CheckOnly("rope_theta", m.rope_theta(), 10000, m));
  heads.rotary.interleaved = true;
  GraphBuilder b(m);
  b.SetPrefix("transformer.");
  const int tokens = b.Matrix("wte.weight", m.vocab(), m.hidden(), kInitStd);
  int residual = b.Drop(b.EmbedTokens("residual", tokens, m.hidden()));
  for (uint32_t i = 0; i < m.layers(); ++i) {
    residual = AddLayer(m, heads, static_cast<int>(i), residual, b);
  }
  b.SetLayer(-1, residual);
  const int gain = b.Vector("ln_f.weight", m.hidden(), 1);
  const int shift = b.Vector("ln_f.bias", m.hidden(), 0);
  const int norm = b.LayerNorm("final norm", residual, gain, shift, m.norm_eps());
  b.SetPrefix("");
  const int head = m.tied() ? tokens : b.Matrix("lm_head.weight", m.vocab(), m.hidden(), kInitStd);
  b.Head(norm, head, b.SlicedVector("lm_head.bias", head, 0));
  return b.Take();
}

}  // namespace waferstream
