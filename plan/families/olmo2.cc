// OLMo 2: the norms stand behind attention and MLP, not before them, and q and k are normalised
// over all of their heads.
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "plan/families/families.h"
#include "plan/families/heads.h"

namespace waferstream {
namespace {

constexpr double kInitStd = 0.02;

int AddLayer(const ModelSpec& m, const Heads& heads, int layer, int input, GraphBuilder& b) {
  const std::string h = absl::StrCat("layers.", layer, ".");
  const int64_t hidden = m.hidden();
  b.SetLayer(layer, input);
  const auto project = [&](const char* name, const char* parameter, int x, int64_t rows,
                           int64_t cols) {
    return b.Matmul(name, x, b.Matrix(absl::StrCat(h, parameter, ".weight"), rows, cols, kInitStd),
                    {});
  };
  const auto norm = [&](const char* name, const char* parameter, int x, int64_t width,
                        int residual = -1) {
    const int gain = b.Vector(absl::StrCat(h, parameter, ".weight"), width, 1);
    return b.RmsNorm(name, x, gain, m.norm_eps(), residual);
  };

  const int64_t wide = heads.queries * heads.dim, narrow = heads.keys * heads.dim;
  const int x = b.Round("input", input);
  const int q = project("q", "self_attn.q_proj", x, wide, hidden);
  const int k = project("k", "self_attn.k_proj", x, narrow, hidden);
  const int v = project("v", "self_attn.v_proj", x, narrow, hidden);
  const int attended = AttendTurned(h + "self_attn", heads, /*window=*/0, m,
                                    {norm("q norm", "self_attn.q_norm", q, wide),
                                     norm("k norm", "self_attn.k_norm", k, narrow), v},
                                    b);
  const int out = project("projected", "self_attn.o_proj", attended, hidden, wide);
  const int middle = norm("middle residual", "post_attention_layernorm", out, hidden, input);

  const int y = b.Round("middle", middle);
  const int gate = project("gate", "mlp.gate_proj", y, m.ffn(), hidden);
  const int up = project("up", "mlp.up_proj", y, m.ffn(), hidden);
  const int gated = b.SiluGated("gated", h + "mlp silu", gate, up);
  const int down = project("down", "mlp.down_proj", gated, hidden, m.ffn());
  return norm("residual", "post_feedforward_layernorm", down, hidden, middle);
}

}  // namespace

absl::StatusOr<Model> BuildOlmo2(const ModelSpec& m) {
  ASSIGN_OR_RETURN(const Heads heads, HeadsOf(m));
  GraphBuilder b(m);
  b.SetPrefix("model.");
  const int tokens = b.Matrix("embed_tokens.weight", m.vocab(), m.hidden(), kInitStd);
  int residual = b.Drop(b.EmbedTokens("residual", tokens, m.hidden()));
  for (uint32_t i = 0; i < m.layers(); ++i) {
    residual = AddLayer(m, heads, static_cast<int>(i), residual, b);
  }
  b.SetLayer(-1, residual);
  const int gain = b.Vector("norm.weight", m.hidden(), 1);
  const int norm = b.RmsNorm("final norm", residual, gain, m.norm_eps());
  b.SetPrefix("");
  b.Head(norm, m.tied() ? tokens : b.Matrix("lm_head.weight", m.vocab(), m.hidden(), kInitStd));
  return b.Take();
}

}  // namespace waferstream
