#include "wafer_node/kernels/attention.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "plan/kernel_workspace.h"
#include "wafer_node/kernels/gemm.h"
#include "wafer_node/kernels/reference.h"

namespace waferstream {
namespace {

using reference::Array;
using reference::Typed;

class Workspace {
 public:
  explicit Workspace(size_t bytes)
      : bytes_(bytes),
        space_(std::aligned_alloc(kWorkspaceAlignment, RoundUp(bytes + 1, kWorkspaceAlignment))) {
    std::memset(space_, 0xff, bytes_);  // NaN
  }
  ~Workspace() { std::free(space_); }
  std::span<std::byte> span() { return {static_cast<std::byte*>(space_), bytes_}; }

 private:
  size_t bytes_;
  void* space_;
};

// qkv [tokens, 3 * heads * head_dim] as the model has it; the test looks at one head of it.
struct Problem {
  static constexpr int64_t kHeads = 2, kHead = 1;
  AttentionOptions options;
  Typed qkv, d_out;

  Problem(ProductKind kind, int64_t tokens, int64_t head_dim)
      : options{.products = kind,
                .tokens = tokens,
                .head_dim = head_dim,
                .q_stride = 3 * kHeads * head_dim,
                .kv_stride = 3 * kHeads * head_dim,
                .out_stride = kHeads * head_dim},
        qkv(reference::Random(kind.dtype, tokens * options.q_stride, 1)),
        d_out(reference::Random(kind.dtype, tokens * options.out_stride, 2)) {}

  // Offset in elements of projection p's (0 q, 1 k, 2 v) part of the head.
  int64_t Offset(int p) const { return (p * kHeads + kHead) * options.head_dim; }
  void* At(Typed& x, int64_t offset) const {
    return static_cast<std::byte*>(x.data()) + offset * BytesOf(options.products.dtype);
  }
  AttentionInputs in() { return {At(qkv, Offset(0)), At(qkv, Offset(1)), At(qkv, Offset(2))}; }

  Array Dense(const Typed& x, int64_t offset, int64_t stride) const {
    Array dense;
    for (int64_t t = 0; t < options.tokens; ++t) {
      for (int64_t c = 0; c < options.head_dim; ++c) dense.push_back(x.at(t * stride + offset + c));
    }
    return dense;
  }
  Array Input(int p) const { return Dense(qkv, Offset(p), options.q_stride); }
  Array Out(const Typed& x) const { return Dense(x, Offset(0), options.out_stride); }

  Typed Forward(std::vector<float>& lse) {
    Typed out = reference::Zeros(options.products.dtype, options.tokens * options.out_stride);
    lse.resize(options.tokens);
    Workspace workspace(
        AttentionForwardWorkspaceBytes(options.products, options.tokens, options.head_dim));
    AttentionForward(options, in(), At(out, Offset(0)), lse.data(), workspace.span());
    return out;
  }
  Typed Backward(const std::vector<float>& lse) {
    Typed d_qkv = reference::Zeros(options.products.dtype, options.tokens * options.q_stride);
    Workspace workspace(
        AttentionBackwardWorkspaceBytes(options.products, options.tokens, options.head_dim));
    AttentionBackward(options, in(), lse.data(), At(d_out, Offset(0)),
                      {At(d_qkv, Offset(0)), At(d_qkv, Offset(1)), At(d_qkv, Offset(2))},
                      workspace.span());
    return d_qkv;
  }
};

// Those that this machine can multiply.
std::vector<ProductKind> Kinds() {
  std::vector<ProductKind> kinds = {{Dtype::kF32}, {Dtype::kBf16}};
  if (!CanBePortable()) {
    std::printf("SKIPPED: portable products, for which this machine lacks fused multiply-adds\n");
    return kinds;
  }
  kinds.push_back({Dtype::kF32, true});
  kinds.push_back({Dtype::kBf16, true});
  return kinds;
}

constexpr int64_t kTokens[] = {1, 2, 15, 128, 129, 300, 800};
constexpr int64_t kHeadDims[] = {1, 15, 64, 256};

TEST(AttentionTest, ForwardMatchesTheReference) {
  for (const ProductKind kind : Kinds()) {
    for (int64_t tokens : kTokens) {
      for (int64_t head_dim : kHeadDims) {
        Problem p(kind, tokens, head_dim);
        std::vector<float> lse;
        const Typed out = p.Forward(lse);
        Array want_lse(tokens);
        const Array want =
            reference::Attention(tokens, head_dim, p.Input(0), p.Input(1), p.Input(2), &want_lse);
        EXPECT_LE(reference::Distance(p.Out(out), want), reference::Tolerance(kind.dtype));
        for (int64_t t = 0; t < tokens; ++t) EXPECT_NEAR(lse[t], want_lse[t], 1e-5);
        // The other head's columns are none of this call's business.
        for (int64_t t = 0; t < tokens; ++t) EXPECT_EQ(out.at(t * p.options.out_stride), 0);
      }
    }
  }
}

// The backward formula in double; itself checked against finite differences below.
std::vector<Array> ReferenceBackward(int64_t tokens, int64_t head_dim, const Array& q,
                                     const Array& k, const Array& v, const Array& d_out) {
  Array lse(tokens), d_q(q.size()), d_k(q.size()), d_v(q.size());
  const Array out = reference::Attention(tokens, head_dim, q, k, v, &lse);
  const double scale = 1 / std::sqrt(head_dim);
  for (int64_t i = 0; i < tokens; ++i) {
    const int64_t row = i * head_dim;
    double mean = 0;
    for (int64_t c = 0; c < head_dim; ++c) mean += d_out[row + c] * out[row + c];
    for (int64_t j = 0; j <= i; ++j) {
      const int64_t key = j * head_dim;
      double score = 0, d_p = 0;
      for (int64_t c = 0; c < head_dim; ++c) {
        score += q[row + c] * k[key + c] * scale;
        d_p += d_out[row + c] * v[key + c];
      }
      const double p = std::exp(score - lse[i]);
      for (int64_t c = 0; c < head_dim; ++c) {
        d_v[key + c] += p * d_out[row + c];
        d_q[row + c] += p * (d_p - mean) * scale * k[key + c];
        d_k[key + c] += p * (d_p - mean) * scale * q[row + c];
      }
    }
  }
  return {d_q, d_k, d_v};
}

TEST(AttentionTest, ReferenceBackwardMatchesFiniteDifferences) {
  Problem p({Dtype::kF32}, 9, 5);
  const std::vector<Array> inputs = {p.Input(0), p.Input(1), p.Input(2)};
  const Array d_out = p.Out(p.d_out);
  const auto gradients = ReferenceBackward(9, 5, inputs[0], inputs[1], inputs[2], d_out);
  for (int which = 0; which < 3; ++which) {
    const auto by_input = [&](const Array& x) {
      std::vector<Array> in = inputs;
      in[which] = x;
      return reference::Attention(9, 5, in[0], in[1], in[2], nullptr);
    };
    const Array want = reference::Differences(inputs[which], d_out, by_input);
    EXPECT_LE(reference::Distance(gradients[which], want), 1e-8) << which;
  }
}

TEST(AttentionTest, BackwardMatchesTheReference) {
  for (const ProductKind kind : Kinds()) {
    for (int64_t tokens : kTokens) {
      for (int64_t head_dim : kHeadDims) {
        Problem p(kind, tokens, head_dim);
        std::vector<float> lse;
        p.Forward(lse);
        const Typed d_qkv = p.Backward(lse);
        const auto want =
            ReferenceBackward(tokens, head_dim, p.Input(0), p.Input(1), p.Input(2), p.Out(p.d_out));
        for (int which = 0; which < 3; ++which) {
          const Array got = p.Dense(d_qkv, p.Offset(which), p.options.q_stride);
          // Probabilities and their gradients are rounded before they are multiplied again.
          EXPECT_LE(reference::Distance(got, want[which]), 3 * reference::Tolerance(kind.dtype))
              << which << " tokens " << tokens << " head_dim " << head_dim;
        }
      }
    }
  }
}

TEST(AttentionTest, SameBitsFromAnyThread) {
  for (const ProductKind kind : Kinds()) {
    Problem p(kind, 200, 15);
    std::vector<float> lse;
    const Typed out = p.Forward(lse);
    const Array d_qkv = p.Backward(lse).values();
    std::vector<Array> outs(2), gradients(2);
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&, i] {
        std::vector<float> own_lse;
        outs[i] = p.Forward(own_lse).values();
        gradients[i] = p.Backward(own_lse).values();
      });
    }
    for (auto& thread : threads) thread.join();
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(outs[i], out.values());
      EXPECT_EQ(gradients[i], d_qkv);
    }
  }
}

// Several heads of queries that share a key and value, of which a query sees so many.
struct SharedProblem {
  static constexpr int64_t kGroup = 3, kDim = 7, kTokens = 300;
  AttentionOptions options;
  Typed q, k, v, d_out;

  SharedProblem(ProductKind kind, int64_t window)
      : options{.products = kind,
                .tokens = kTokens,
                .head_dim = kDim,
                .q_stride = kGroup * kDim,
                .kv_stride = kDim,
                .out_stride = kGroup * kDim,
                .window = window,
                .group = kGroup,
                .q_head_stride = kDim,
                .out_head_stride = kDim},
        q(reference::Random(Dtype::kF32, kTokens * kGroup * kDim, 1)),
        k(reference::Random(Dtype::kF32, kTokens * kDim, 2)),
        v(reference::Random(Dtype::kF32, kTokens * kDim, 3)),
        d_out(reference::Random(Dtype::kF32, kTokens * kGroup * kDim, 4)) {}

  Array Head(const Typed& x, int64_t head) const {
    Array dense;
    for (int64_t t = 0; t < kTokens; ++t) {
      for (int64_t c = 0; c < kDim; ++c) dense.push_back(x.at((t * kGroup + head) * kDim + c));
    }
    return dense;
  }
};

// Forward, and the gradients of q, k and v, of one head, all in double.
struct Windowed {
  Array out, d_q, d_k, d_v;
};
Windowed ReferenceOf(const SharedProblem& p, int64_t head) {
  constexpr int64_t kDim = SharedProblem::kDim;
  const Array q = p.Head(p.q, head), k = p.k.values(), v = p.v.values();
  const Array d_out = p.Head(p.d_out, head);
  Windowed r{Array(q.size()), Array(q.size()), Array(k.size()), Array(k.size())};
  const double scale = 1 / std::sqrt(kDim);
  for (int64_t i = 0; i < SharedProblem::kTokens; ++i) {
    const int64_t window = p.options.window == 0 ? i + 1 : p.options.window;
    Array weight, d_weight;
    double total = 0, mean = 0;
    const int64_t first = std::max<int64_t>(0, i - window + 1);
    for (int64_t j = first; j <= i; ++j) {
      double score = 0, d_p = 0;
      for (int64_t c = 0; c < kDim; ++c) {
        score += q[i * kDim + c] * k[j * kDim + c] * scale;
        d_p += d_out[i * kDim + c] * v[j * kDim + c];
      }
      weight.push_back(std::exp(score));
      d_weight.push_back(d_p);
      total += weight.back();
    }
    for (double& w : weight) w /= total;
    mean = reference::Dot(weight, d_weight);
    for (int64_t j = first; j <= i; ++j) {
      const double w = weight[j - first], d_score = w * (d_weight[j - first] - mean) * scale;
      for (int64_t c = 0; c < kDim; ++c) {
        r.out[i * kDim + c] += w * v[j * kDim + c];
        r.d_v[j * kDim + c] += w * d_out[i * kDim + c];
        r.d_q[i * kDim + c] += d_score * k[j * kDim + c];
        r.d_k[j * kDim + c] += d_score * q[i * kDim + c];
      }
    }
  }
  return r;
}

void CheckWindows(ProductKind kind) {
  for (const int64_t window : {0, 1, 5, 128, 200, 299, 300, 1000}) {
    SharedProblem p(kind, window);
    constexpr int64_t kTokens = SharedProblem::kTokens, kDim = SharedProblem::kDim;
    Typed out = reference::Zeros(Dtype::kF32, p.q.size());
    Typed d_q = out, d_k = reference::Zeros(Dtype::kF32, p.k.size()), d_v = d_k;
    std::vector<float> lse(SharedProblem::kGroup * kTokens);
    Workspace workspace(AttentionBackwardWorkspaceBytes(kind, kTokens, kDim));
    for (int64_t h = 0; h < SharedProblem::kGroup; ++h) {
      AttentionForward(p.options, {p.q.wide.data() + h * kDim, p.k.data(), p.v.data()},
                       out.wide.data() + h * kDim, lse.data() + h * kTokens, workspace.span());
    }
    AttentionBackward(p.options, {p.q.data(), p.k.data(), p.v.data()}, lse.data(), p.d_out.data(),
                      {d_q.data(), d_k.data(), d_v.data()}, workspace.span());
    Array want_k(p.k.size()), want_v(p.k.size());
    for (int64_t h = 0; h < SharedProblem::kGroup; ++h) {
      const Windowed want = ReferenceOf(p, h);
      EXPECT_LE(reference::Distance(p.Head(out, h), want.out), 2e-6) << window;
      EXPECT_LE(reference::Distance(p.Head(d_q, h), want.d_q), 6e-6) << window;
      for (size_t i = 0; i < want_k.size(); ++i) {
        want_k[i] += want.d_k[i];
        want_v[i] += want.d_v[i];
      }
    }
    // Of one key the softmax is 1, whatever the score: the gradient is all rounding.
    if (window != 1) {
      EXPECT_LE(reference::Distance(d_k, want_k), 6e-6) << window;
    }
    EXPECT_LE(reference::Distance(d_v, want_v), 6e-6) << window;
  }
}

TEST(AttentionTest, HeadsShareKeysOfWhichAQuerySeesAWindow) {
  for (const ProductKind kind : Kinds()) {
    if (kind.dtype == Dtype::kF32) CheckWindows(kind);
  }
}

}  // namespace
}  // namespace waferstream
