// Llama and its kin: RMSNorm before each half of a layer, rotary positions, keys and values shared
// by groups of heads, a gated MLP, no biases. The kin differ in a few places; of some the MLP is a
// mixture of experts.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "plan/families/families.h"
#include "plan/families/heads.h"

namespace waferstream {
namespace {

constexpr double kInitStd = 0.02;

// Of a layer's router and, in front of and behind an expert's number, its matrices.
struct ExpertNames {
  const char* router;
  const char* experts;
  const char* gate;
  const char* up;
  const char* down;
};
constexpr ExpertNames kMixtralNames = {"block_sparse_moe.gate", "block_sparse_moe.experts.", ".w1",
                                       ".w3", ".w2"};
constexpr ExpertNames kQwenNames = {"mlp.gate", "mlp.experts.", ".gate_proj", ".up_proj",
                                    ".down_proj"};

// What a family of Llama's kin has that Llama has not.
struct Kin {
  bool qkv_bias = false;    // Qwen2
  bool head_norm = false;   // Qwen3: q and k of every head are normalised before they are turned
  bool window = false;      // Mistral: model.window
  bool norms_topk = false;  // Mixtral: whatever model.norm_topk says
  const ExpertNames* experts = nullptr;  // Mixtral, Qwen3-MoE: what its experts are called
};

class LayerWriter {
 public:
  LayerWriter(const ModelSpec& m, const Heads& heads, const Kin& kin, GraphBuilder& b)
      : m_(m), heads_(heads), kin_(kin), b_(b) {
    balance_.weight = m.router_aux_loss();
    balance_.experts = m.experts();
  }

  // From residual to residual.
  int Write(int layer, int input) {
    h_ = absl::StrCat("layers.", layer, ".");
    b_.SetLayer(layer, input);
    const int middle = Attend(Norm("norm 1", "input_layernorm", input), input);
    const int norm = Norm("norm 2", "post_attention_layernorm", middle);
    return kin_.experts != nullptr ? FeedExperts(norm, middle) : Feed(norm, middle);
  }

  // Of the experts of all layers so far.
  const ExpertBalance& balance() const { return balance_; }

 private:
  int Norm(const char* name, const char* parameter, int x) {
    const int gain = b_.Vector(absl::StrCat(h_, parameter, ".weight"), m_.hidden(), 1);
    return b_.RmsNorm(name, x, gain, m_.norm_eps());
  }

  int Project(const char* name, const char* parameter, int x, int64_t rows, int64_t cols,
              const GraphBuilder::Addends& addends = {}) {
    const int matrix = b_.Matrix(absl::StrCat(h_, parameter, ".weight"), rows, cols, kInitStd);
    return b_.Matmul(name, x, matrix, addends);
  }

  // One of q, k and v.
  int ProjectHeads(const char* name, const char* parameter, int x, int64_t heads) {
    const int64_t rows = heads * heads_.dim;
    const int matrix =
        b_.Matrix(absl::StrCat(h_, parameter, ".weight"), rows, m_.hidden(), kInitStd);
    const int bias = kin_.qkv_bias ? b_.Vector(absl::StrCat(h_, parameter, ".bias"), rows, 0) : -1;
    return b_.Matmul(name, x, matrix, {.bias = bias});
  }

  int NormHeads(const char* name, const char* parameter, int x) {
    if (!kin_.head_norm) return x;
    const int gain = b_.Vector(absl::StrCat(h_, parameter, ".weight"), heads_.dim, 1);
    return b_.RmsNorm(name, x, gain, m_.norm_eps());
  }

  int Attend(int x, int residual) {
    const int q = ProjectHeads("q", "self_attn.q_proj", x, heads_.queries);
    const int k = ProjectHeads("k", "self_attn.k_proj", x, heads_.keys);
    const int v = ProjectHeads("v", "self_attn.v_proj", x, heads_.keys);
    const int64_t window = kin_.window ? m_.window() : 0;
    const int out = AttendTurned(
        h_ + "self_attn", heads_, window, m_,
        {NormHeads("q norm", "self_attn.q_norm", q), NormHeads("k norm", "self_attn.k_norm", k), v},
        b_);
    return Project("middle residual", "self_attn.o_proj", out, m_.hidden(),
                   heads_.queries * heads_.dim, {.residual = residual});
  }

  int Feed(int x, int residual) {
    const int gate = Project("gate", "mlp.gate_proj", x, m_.ffn(), m_.hidden());
    const int up = Project("up", "mlp.up_proj", x, m_.ffn(), m_.hidden());
    const int gated = b_.SiluGated("gated", h_ + "mlp silu", gate, up);
    return Project("residual", "mlp.down_proj", gated, m_.hidden(), m_.ffn(),
                   {.residual = residual});
  }

  std::vector<int> ExpertMatrices(const char* name, int64_t rows, int64_t cols) {
    std::vector<int> matrices;
    for (uint32_t e = 0; e < m_.experts(); ++e) {
      matrices.push_back(b_.Matrix(absl::StrCat(h_, kin_.experts->experts, e, name, ".weight"),
                                   rows, cols, kInitStd));
    }
    return matrices;
  }

  int FeedExperts(int x, int residual) {
    const ExpertNames& names = *kin_.experts;
    // The router's logits are as products sum them.
    const int logits =
        Project("router", names.router, x, m_.experts(), m_.hidden(), {.type = ElementType::kF32});
    const GraphBuilder::Routes routes = b_.Route(h_ + "routes", logits,
                                                 {.experts = m_.experts(),
                                                  .experts_per_token = m_.experts_per_token(),
                                                  .norm_topk = kin_.norms_topk || m_.norm_topk()});
    balance_.loads.push_back(routes.load);
    const int copies = b_.Dispatch("copies", x, routes);
    const auto multiply = [&](const char* name, int in, const char* parameter, int64_t rows,
                              int64_t cols) {
      return b_.ExpertMatmul(name, in, ExpertMatrices(parameter, rows, cols), routes);
    };
    const int gate = multiply("gates", copies, names.gate, m_.ffn(), m_.hidden());
    const int up = multiply("ups", copies, names.up, m_.ffn(), m_.hidden());
    const int gated = b_.SiluGated("gated", h_ + "experts silu", gate, up);
    const int out = multiply("expert outs", gated, names.down, m_.hidden(), m_.ffn());
    return b_.Combine("residual", out, routes, residual);
  }

  const ModelSpec& m_;
  const Heads& heads_;
  const Kin& kin_;
  GraphBuilder& b_;
  std::string h_;
  ExpertBalance balance_;
};

// Of all layers: what a model of a job that came over the network may be made of.
constexpr uint64_t kAllExpertsMax = 1 << 18;

absl::Status CheckExperts(const ModelSpec& m) {
  if (m.experts() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.experts is missing; the family ", m.family(), " has several"));
  }
  if (uint64_t{m.layers()} * m.experts() > kAllExpertsMax) {
    return absl::InvalidArgumentError(absl::StrCat("model.experts: ", m.experts(), " in each of ",
                                                   m.layers(), " layers are more than ",
                                                   kAllExpertsMax));
  }
  if (m.experts_per_token() >= 1 && m.experts_per_token() <= m.experts()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("model.experts_per_token: ", m.experts_per_token(),
                   " must be from 1 to model.experts: ", m.experts()));
}

absl::StatusOr<Model> Build(const ModelSpec& m, const Kin& kin) {
  ASSIGN_OR_RETURN(const Heads heads, HeadsOf(m));
  if (kin.experts != nullptr) RETURN_IF_ERROR(CheckExperts(m));
  GraphBuilder b(m);
  b.SetPrefix("model.");
  const int tokens = b.Matrix("embed_tokens.weight", m.vocab(), m.hidden(), kInitStd);
  int residual = b.Drop(b.EmbedTokens("residual", tokens, m.hidden()));
  LayerWriter layers(m, heads, kin, b);
  for (uint32_t i = 0; i < m.layers(); ++i) residual = layers.Write(static_cast<int>(i), residual);
  b.SetLayer(-1, residual);
  const int gain = b.Vector("norm.weight", m.hidden(), 1);
  const int norm = b.RmsNorm("final norm", residual, gain, m.norm_eps());
  b.SetPrefix("");
  b.Head(norm, m.tied() ? tokens : b.Matrix("lm_head.weight", m.vocab(), m.hidden(), kInitStd),
         /*bias=*/-1, layers.balance());
  return b.Take();
}

}  // namespace

absl::StatusOr<Model> BuildLlama(const ModelSpec& m) { return Build(m, {}); }
absl::StatusOr<Model> BuildMistral(const ModelSpec& m) { return Build(m, {.window = true}); }
absl::StatusOr<Model> BuildMixtral(const ModelSpec& m) {
  return Build(m, {.window = true, .norms_topk = true, .experts = &kMixtralNames});
}
absl::StatusOr<Model> BuildQwen2(const ModelSpec& m) { return Build(m, {.qkv_bias = true}); }
absl::StatusOr<Model> BuildQwen3(const ModelSpec& m) { return Build(m, {.head_norm = true}); }
absl::StatusOr<Model> BuildQwen3Moe(const ModelSpec& m) {
  return Build(m, {.head_norm = true, .experts = &kQwenNames});
}

}  // namespace waferstream
