#include "wafer_node/kernels/attention.h"

#include <algorithm>
#include <cmath>

#include "base/status.h"
#include "base/vector_math.h"
#include "plan/kernel_workspace.h"
#include "wafer_node/kernels/gemm.h"
#include "wafer_node/kernels/softmax.h"

namespace waferstream {
namespace {

constexpr int64_t kBlock = kAttentionBlock;

// Hands out the workspace piece by piece; what is left over belongs to the products.
class Carver {
 public:
  explicit Carver(std::span<std::byte> space) : rest_(space) {}

  template <class T>
  T* Take(size_t bytes) {
    const size_t taken = RoundUp(bytes, kWorkspaceAlignment);
    WS_CHECK(taken <= rest_.size());
    T* const piece = reinterpret_cast<T*>(rest_.data());
    rest_ = rest_.subspan(taken);
    return piece;
  }
  std::span<std::byte> rest() const { return rest_; }

 private:
  std::span<std::byte> rest_;
};

const void* RowAt(const AttentionOptions& options, const void* x, int64_t row, int64_t stride) {
  return static_cast<const std::byte*>(x) + row * stride * BytesOf(options.dtype);
}

void* RowAt(const AttentionOptions& options, void* x, int64_t row, int64_t stride) {
  return static_cast<std::byte*>(x) + row * stride * BytesOf(options.dtype);
}

// The first key that a query sees.
int64_t FirstKey(const AttentionOptions& options, int64_t query) {
  return options.window == 0 ? 0 : std::max<int64_t>(0, query - options.window + 1);
}

ScoreBlock BlockAt(const AttentionOptions& options, int64_t query, float* scores) {
  return {.first_query = query,
          .first_key = FirstKey(options, query),
          .window = options.window,
          .queries = std::min(kBlock, options.tokens - query),
          .scale = 1.0f / std::sqrt(static_cast<float>(options.head_dim)),
          .scores = scores};
}

size_t BlockElements(const AttentionOptions& options) {
  return kBlock * RoundUp(options.tokens, kWorkspaceAlignment);
}

// products [queries, keys] = rows [queries, head_dim] times columns [keys, head_dim] transposed.
void TimesKeys(const AttentionOptions& options, const ScoreBlock& block, const MatrixIn& rows,
               const void* columns, float* products, std::span<std::byte> space) {
  Gemm({.dtype = options.dtype, .m = block.queries, .n = block.keys(), .k = options.head_dim}, rows,
       {RowAt(options, columns, block.first_key, options.kv_stride), options.kv_stride, true},
       {products, block.keys()}, space);
}

// out [queries, head_dim] = weights [queries, keys] times rows [keys, head_dim].
void WeightedRows(const AttentionOptions& options, const ScoreBlock& block, const void* weights,
                  const void* rows, const MatrixOut& out, std::span<std::byte> space) {
  Gemm({.dtype = options.dtype, .m = block.queries, .n = options.head_dim, .k = block.keys()},
       {weights, block.keys()},
       {RowAt(options, rows, block.first_key, options.kv_stride), options.kv_stride}, out, space);
}

// sums [keys, head_dim] += weights [queries, keys] transposed times rows [queries, head_dim].
void AddToKeys(const AttentionOptions& options, const ScoreBlock& block, const void* weights,
               const MatrixIn& rows, float* sums, std::span<std::byte> space) {
  Gemm({.dtype = options.dtype,
        .m = block.keys(),
        .n = options.head_dim,
        .k = block.queries,
        .accumulate = true},
       {weights, block.keys(), true}, rows,
       {sums + block.first_key * options.head_dim, options.head_dim}, space);
}

void WriteSums(const AttentionOptions& options, const float* sums, void* to) {
  for (int64_t t = 0; t < options.tokens; ++t, sums += options.head_dim) {
    void* row = RowAt(options, to, t, options.kv_stride);
    if (options.dtype == Dtype::kF32) {
      std::copy_n(sums, options.head_dim, static_cast<float*>(row));
    } else {
      ConvertToBf16(sums, static_cast<Bf16*>(row), options.head_dim);
    }
  }
}

}  // namespace

void AttentionForward(const AttentionOptions& options, const AttentionInputs& in, void* out,
                      float* lse, std::span<std::byte> workspace) {
  WS_CHECK(workspace.size() >=
           AttentionForwardWorkspaceBytes(options.dtype, options.tokens, options.head_dim));
  Carver carver(workspace);
  float* scores = carver.Take<float>(BlockElements(options) * sizeof(float));
  void* probabilities = carver.Take<std::byte>(BlockElements(options) * BytesOf(options.dtype));
  for (int64_t query = 0; query < options.tokens; query += kBlock) {
    const ScoreBlock block = BlockAt(options, query, scores);
    const void* q = RowAt(options, in.q, query, options.q_stride);
    TimesKeys(options, block, {q, options.q_stride}, in.k, scores, carver.rest());
    CausalSoftmax(block, options.dtype, probabilities, lse + query);
    WeightedRows(
        options, block, probabilities, in.v,
        {RowAt(options, out, query, options.out_stride), options.out_stride, options.dtype},
        carver.rest());
  }
}

void AttentionBackward(const AttentionOptions& options, const AttentionInputs& in, const float* lse,
                       const void* d_out, const AttentionGradients& gradients,
                       std::span<std::byte> workspace) {
  WS_CHECK(workspace.size() >=
           AttentionBackwardWorkspaceBytes(options.dtype, options.tokens, options.head_dim));
  Carver carver(workspace);
  const size_t sums = options.tokens * options.head_dim;
  float* scores = carver.Take<float>(BlockElements(options) * sizeof(float));
  float* d_probabilities = carver.Take<float>(BlockElements(options) * sizeof(float));
  void* probabilities = carver.Take<std::byte>(BlockElements(options) * BytesOf(options.dtype));
  void* d_scores = carver.Take<std::byte>(BlockElements(options) * BytesOf(options.dtype));
  float* d_k = carver.Take<float>(sums * sizeof(float));
  float* d_v = carver.Take<float>(sums * sizeof(float));
  std::fill_n(d_k, sums, 0.0f);
  std::fill_n(d_v, sums, 0.0f);
  const std::span<std::byte> space = carver.rest();
  for (int64_t head = 0; head < options.group; ++head) {
    const size_t q_at = head * options.q_head_stride * BytesOf(options.dtype);
    const size_t out_at = head * options.out_head_stride * BytesOf(options.dtype);
    const auto* head_q = static_cast<const std::byte*>(in.q) + q_at;
    const auto* head_d_out = static_cast<const std::byte*>(d_out) + out_at;
    auto* head_d_q = static_cast<std::byte*>(gradients.q) + q_at;
    const float* head_lse = lse + head * options.tokens;
    for (int64_t query = 0; query < options.tokens; query += kBlock) {
      const ScoreBlock block = BlockAt(options, query, scores);
      const MatrixIn q = {RowAt(options, head_q, query, options.q_stride), options.q_stride};
      const MatrixIn d_o = {RowAt(options, head_d_out, query, options.out_stride),
                            options.out_stride};
      TimesKeys(options, block, q, in.k, scores, space);
      TimesKeys(options, block, d_o, in.v, d_probabilities, space);
      CausalSoftmaxBackward(block, head_lse + query, d_probabilities, options.dtype, probabilities,
                            d_scores);
      AddToKeys(options, block, probabilities, d_o, d_v, space);
      AddToKeys(options, block, d_scores, q, d_k, space);
      WeightedRows(
          options, block, d_scores, in.k,
          {RowAt(options, head_d_q, query, options.q_stride), options.q_stride, options.dtype},
          space);
    }
  }
  WriteSums(options, d_k, gradients.k);
  WriteSums(options, d_v, gradients.v);
}

}  // namespace waferstream
