#include "wafer_node/naive_gpt2.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace waferstream {
namespace {

using Matrix = std::vector<double>;  // [tokens, width]

class Naive {
 public:
  Naive(const ModelSpec& model, const NaiveWeights& weights, size_t tokens)
      : model_(model), weights_(weights), tokens_(tokens), hidden_(model.hidden()) {}

  Matrix Logits(const std::vector<int32_t>& ids) const {
    Matrix h(tokens_ * hidden_);
    for (size_t t = 0; t < tokens_; ++t) {
      for (size_t i = 0; i < hidden_; ++i) {
        h[t * hidden_ + i] =
            At("wte.weight")[ids[t] * hidden_ + i] + At("wpe.weight")[t * hidden_ + i];
      }
    }
    for (uint32_t layer = 0; layer < model_.layers(); ++layer) Layer(layer, h);
    const Matrix head = At(model_.tied() ? "wte.weight" : "lm_head.weight");
    return Times(Norm(h, "ln_f"), head, Matrix(model_.vocab(), 0));
  }

 private:
  const Matrix& At(const std::string& name) const { return weights_.at(name); }

  Matrix Norm(const Matrix& x, const std::string& name) const {
    Matrix y(x.size());
    for (size_t t = 0; t < tokens_; ++t) {
      double mean = 0, variance = 0;
      for (size_t i = 0; i < hidden_; ++i) mean += x[t * hidden_ + i] / hidden_;
      for (size_t i = 0; i < hidden_; ++i) {
        variance += std::pow(x[t * hidden_ + i] - mean, 2) / hidden_;
      }
      for (size_t i = 0; i < hidden_; ++i) {
        y[t * hidden_ + i] = (x[t * hidden_ + i] - mean) / std::sqrt(variance + model_.norm_eps()) *
                                 At(name + ".weight")[i] +
                             At(name + ".bias")[i];
      }
    }
    return y;
  }

  // x W^T + b.
  Matrix Times(const Matrix& x, const Matrix& w, const Matrix& b) const {
    // A sequence has tokens.
    const size_t in = x.size() / tokens_, out = b.size();  // NOLINT(clang-analyzer-core.DivideZero)
    Matrix y(tokens_ * out);
    for (size_t t = 0; t < tokens_; ++t) {
      for (size_t j = 0; j < out; ++j) {
        double sum = b[j];
        for (size_t i = 0; i < in; ++i) sum += x[t * in + i] * w[j * in + i];
        y[t * out + j] = sum;
      }
    }
    return y;
  }
  Matrix Project(const Matrix& x, const std::string& name) const {
    return Times(x, At(name + ".weight"), At(name + ".bias"));
  }

  Matrix Attention(const Matrix& qkv) const {
    const size_t head_dim = hidden_ / model_.heads();
    Matrix out(tokens_ * hidden_);
    for (size_t head = 0; head < model_.heads(); ++head) {
      for (size_t t = 0; t < tokens_; ++t) AttendTo(qkv, head * head_dim, head_dim, t, out);
    }
    return out;
  }
  void AttendTo(const Matrix& qkv, size_t column, size_t head_dim, size_t t, Matrix& out) const {
    const auto at = [&](size_t token, size_t third, size_t i) {
      return qkv[token * 3 * hidden_ + third * hidden_ + column + i];
    };
    std::vector<double> p(t + 1);
    double total = 0;
    for (size_t s = 0; s <= t; ++s) {
      double score = 0;
      for (size_t i = 0; i < head_dim; ++i) score += at(t, 0, i) * at(s, 1, i);
      p[s] = std::exp(score / std::sqrt(static_cast<double>(head_dim)));
      total += p[s];
    }
    for (size_t s = 0; s <= t; ++s) {
      for (size_t i = 0; i < head_dim; ++i) {
        out[t * hidden_ + column + i] += p[s] / total * at(s, 2, i);
      }
    }
  }

  void Layer(uint32_t layer, Matrix& h) const {
    const std::string name = "h." + std::to_string(layer) + ".";
    const Matrix o = Attention(Project(Norm(h, name + "ln_1"), name + "attn.c_attn"));
    AddTo(h, Project(o, name + "attn.c_proj"));
    Matrix u = Project(Norm(h, name + "ln_2"), name + "mlp.c_fc");
    for (double& x : u) {
      x = 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    }
    AddTo(h, Project(u, name + "mlp.c_proj"));
  }
  static void AddTo(Matrix& h, const Matrix& x) {
    for (size_t i = 0; i < h.size(); ++i) h[i] += x[i];
  }

  const ModelSpec& model_;
  const NaiveWeights& weights_;
  const size_t tokens_;
  const size_t hidden_;
};

}  // namespace

std::vector<double> NaiveLogits(const ModelSpec& model, const NaiveWeights& weights,
                                const std::vector<int32_t>& ids) {
  return Naive(model, weights, ids.size()).Logits(ids);
}

double NaiveLoss(const ModelSpec& model, const NaiveWeights& weights,
                 const std::vector<int32_t>& ids, const std::vector<int32_t>& targets) {
  const std::vector<double> logits = NaiveLogits(model, weights, ids);
  const size_t vocab = model.vocab();
  double loss = 0;
  for (size_t t = 0; t < ids.size(); ++t) {
    double total = 0;
    for (size_t i = 0; i < vocab; ++i) total += std::exp(logits[t * vocab + i]);
    loss += std::log(total) - logits[t * vocab + targets[t]];
  }
  return loss;
}

}  // namespace waferstream
