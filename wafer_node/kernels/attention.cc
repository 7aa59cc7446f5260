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
  return static_cast<const std::byte*>(x) + row * stride * BytesOf(options.products.dtype);
}

void* RowAt(const AttentionOptions& options, void* x, int64_t row, int64_t stride) {
  return static_cast<std::byte*>(x) + row * stride * BytesOf(options.products.dtype);
}

// Queries of a block.
int64_t Block(const AttentionOptions& options) {
  return AttentionBlock(TakesWideLeft(options.products));
}

// The first key that a block works with: that which its first query sees, or one before it where
// packed operands can be cut.
int64_t FirstKey(const AttentionOptions& options, int64_t query) {
  if (options.window == 0) return 0;
  const int64_t step = PacksRight(options.products) ? int64_t{kGemmPanelColumnsMax} : 1;
  return std::max<int64_t>(0, query - options.window + 1) / step * step;
}

ScoreBlock BlockAt(const AttentionOptions& options, int64_t query, float* scores) {
  return {.first_query = query,
          .first_key = FirstKey(options, query),
          .window = options.window,
          .queries = std::min(Block(options), options.tokens - query),
          .scale = 1.0f / std::sqrt(static_cast<float>(options.head_dim)),
          .scores = scores,
          .stride = static_cast<int64_t>(AttentionStride(options.tokens))};
}

// A matrix of a block, [queries, keys]: in fp32 as products make it, and as products take it, which
// is in the same place if that is in fp32 too.
struct Scores {
  Scores(const AttentionOptions& options, Carver& carver)
      : dtype(TakesWideLeft(options.products) ? Dtype::kF32 : options.products.dtype) {
    const size_t elements = Block(options) * AttentionStride(options.tokens);
    made = carver.Take<float>(elements * sizeof(float));
    taken = dtype == Dtype::kF32 ? static_cast<void*>(made)
                                 : carver.Take<std::byte>(elements * BytesOf(dtype));
  }

  Dtype dtype;  // of `taken`
  float* made;
  void* taken;
};

// A head's keys or values, x [tokens, head_dim], as the right operand of the products of all
// blocks, which is packed once if that helps. `transposed`: [head_dim, tokens].
MatrixIn RightOperand(const AttentionOptions& options, const void* x, bool transposed,
                      Carver& carver) {
  MatrixIn b = {x, options.kv_stride, transposed};
  if (!PacksRight(options.products)) return b;
  const int64_t n = transposed ? options.tokens : options.head_dim;
  const int64_t k = transposed ? options.head_dim : options.tokens;
  const size_t bytes = GemmPackedBytes(n, k);
  auto* const packed = carver.Take<std::byte>(bytes);
  PackRight(options.products, b, k, 0, n, {packed, bytes});
  b.packed = {packed, k};
  return b;
}

// Keys [first, ..) of it.
MatrixIn KeysFrom(const AttentionOptions& options, const MatrixIn& b, int64_t first) {
  MatrixIn part = b;
  part.data = RowAt(options, b.data, first, options.kv_stride);
  if (b.packed.data != nullptr) {
    part.packed =
        PartOf(options.products, b.packed, b.transposed ? 0 : first, b.transposed ? first : 0);
  }
  return part;
}

// made [queries, keys] = rows [queries, head_dim] times columns [head_dim, tokens].
void TimesKeys(const AttentionOptions& options, const ScoreBlock& block, const MatrixIn& rows,
               const MatrixIn& columns, float* made, std::span<std::byte> space) {
  Gemm({.kind = options.products, .m = block.queries, .n = block.keys(), .k = options.head_dim},
       rows, KeysFrom(options, columns, block.first_key), {made, block.stride}, space);
}

// out [queries, head_dim] = weights [queries, keys] times rows [tokens, head_dim].
void WeightedRows(const AttentionOptions& options, const ScoreBlock& block, const Scores& weights,
                  const MatrixIn& rows, const MatrixOut& out, std::span<std::byte> space) {
  Gemm({.kind = options.products,
        .m = block.queries,
        .n = options.head_dim,
        .k = block.keys(),
        .wide_left = weights.dtype != options.products.dtype},
       {weights.taken, block.stride}, KeysFrom(options, rows, block.first_key), out, space);
}

// sums [keys, head_dim] += weights [queries, keys] transposed times rows [queries, head_dim].
void AddToKeys(const AttentionOptions& options, const ScoreBlock& block, const Scores& weights,
               const MatrixIn& rows, float* sums, std::span<std::byte> space) {
  Gemm({.kind = options.products,
        .m = block.keys(),
        .n = options.head_dim,
        .k = block.queries,
        .wide_left = weights.dtype != options.products.dtype,
        .accumulate = true},
       {weights.taken, block.stride, true}, rows,
       {sums + block.first_key * options.head_dim, options.head_dim}, space);
}

void WriteSums(const AttentionOptions& options, const float* sums, void* to) {
  for (int64_t t = 0; t < options.tokens; ++t, sums += options.head_dim) {
    void* row = RowAt(options, to, t, options.kv_stride);
    if (options.products.dtype == Dtype::kF32) {
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
           AttentionForwardWorkspaceBytes(options.products, options.tokens, options.head_dim));
  Carver carver(workspace);
  const Scores scores(options, carver);
  const MatrixIn keys = RightOperand(options, in.k, /*transposed=*/true, carver);
  const MatrixIn values = RightOperand(options, in.v, /*transposed=*/false, carver);
  for (int64_t query = 0; query < options.tokens; query += Block(options)) {
    const ScoreBlock block = BlockAt(options, query, scores.made);
    const void* q = RowAt(options, in.q, query, options.q_stride);
    TimesKeys(options, block, {q, options.q_stride}, keys, scores.made, carver.rest());
    CausalSoftmax(block, scores.dtype, scores.taken, lse + query);
    WeightedRows(options, block, scores, values,
                 {RowAt(options, out, query, options.out_stride), options.out_stride,
                  options.products.dtype},
                 carver.rest());
  }
}

void AttentionBackward(const AttentionOptions& options, const AttentionInputs& in, const float* lse,
                       const void* d_out, const AttentionGradients& gradients,
                       std::span<std::byte> workspace) {
  WS_CHECK(workspace.size() >=
           AttentionBackwardWorkspaceBytes(options.products, options.tokens, options.head_dim));
  Carver carver(workspace);
  const size_t sums = options.tokens * options.head_dim;
  const Scores scores(options, carver), d_scores(options, carver);
  float* d_k = carver.Take<float>(sums * sizeof(float));
  float* d_v = carver.Take<float>(sums * sizeof(float));
  std::fill_n(d_k, sums, 0.0f);
  std::fill_n(d_v, sums, 0.0f);
  const MatrixIn keys = RightOperand(options, in.k, /*transposed=*/true, carver);
  const MatrixIn values = RightOperand(options, in.v, /*transposed=*/true, carver);
  const MatrixIn key_rows = RightOperand(options, in.k, /*transposed=*/false, carver);
  const std::span<std::byte> space = carver.rest();
  for (int64_t head = 0; head < options.group; ++head) {
    const size_t q_at = head * options.q_head_stride * BytesOf(options.products.dtype);
    const size_t out_at = head * options.out_head_stride * BytesOf(options.products.dtype);
    const auto* head_q = static_cast<const std::byte*>(in.q) + q_at;
    const auto* head_d_out = static_cast<const std::byte*>(d_out) + out_at;
    auto* head_d_q = static_cast<std::byte*>(gradients.q) + q_at;
    const float* head_lse = lse + head * options.tokens;
    for (int64_t query = 0; query < options.tokens; query += Block(options)) {
      const ScoreBlock block = BlockAt(options, query, scores.made);
      const MatrixIn q = {RowAt(options, head_q, query, options.q_stride), options.q_stride};
      const MatrixIn d_o = {RowAt(options, head_d_out, query, options.out_stride),
                            options.out_stride};
      TimesKeys(options, block, q, keys, scores.made, space);
      TimesKeys(options, block, d_o, values, d_scores.made, space);
      CausalSoftmaxBackward(block, head_lse + query, d_scores.made, scores.dtype, scores.taken,
                            d_scores.taken);
      AddToKeys(options, block, scores, d_o, d_v, space);
      AddToKeys(options, block, d_scores, q, d_k, space);
      WeightedRows(options, block, d_scores, key_rows,
                   {RowAt(options, head_d_q, query, options.q_stride), options.q_stride,
                    options.products.dtype},
                   space);
    }
  }
  WriteSums(options, d_k, gradients.k);
  WriteSums(options, d_v, gradients.v);
}

}  // namespace waferstream
