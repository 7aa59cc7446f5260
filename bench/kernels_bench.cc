// Speed of the wafer node's kernels on one thread, at the shapes of GPT-2 124M.
//
// Products and attention are given in GFLOP/s and as a share of one large square product in the
// same run, the best of oneDNN's and ours; the others in GB/s of memory touched. Times are CPU time
// of the thread, the best of several repetitions, so that other load on the machine disturbs
// little.
#include <omp.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/status.h"
#include "base/vector_math.h"
#include "bench/buffer.h"
#include "bench/square.h"
#include "bench/timing.h"
#include "plan/kernel_workspace.h"
#include "wafer_node/kernels/attention.h"
#include "wafer_node/kernels/gelu.h"
#include "wafer_node/kernels/gemm.h"
#include "wafer_node/kernels/isa.h"
#include "wafer_node/kernels/loss.h"
#include "wafer_node/kernels/norm.h"
#include "wafer_node/kernels/reduce.h"

namespace waferstream {
namespace {

constexpr int64_t kHidden = 768, kWide = 3072, kTileRows = 1344, kHeads = 12, kHeadDim = 64;

const char* Name(ProductKind kind) {
  if (kind.dtype == Dtype::kF32) return kind.portable ? "f32p" : "f32";
  return kind.portable ? "bf16p" : "bf16";
}

// "f32p" and "bf16p": in the portable order.
constexpr ProductKind kKinds[] = {
    {Dtype::kF32, false}, {Dtype::kF32, true}, {Dtype::kBf16, false}, {Dtype::kBf16, true}};

class Table {
 public:
  Table() {
    for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
      peak_[static_cast<int>(dtype)] = std::max(OneDnnSquareGflops(dtype), OurSquareGflops(dtype));
      Flops({dtype}, "square 2048 (peak)", peak_[static_cast<int>(dtype)]);
    }
  }
  void Flops(ProductKind kind, const std::string& what, double gflops) const {
    std::printf("%-44s %-5s %8.1f GFLOP/s %4.0f %%\n", what.c_str(), Name(kind), gflops,
                100 * gflops / peak_[static_cast<int>(kind.dtype)]);
  }
  void Bytes(Dtype dtype, const std::string& what, double gigabytes) const {
    std::printf("%-44s %-5s %8.1f GB/s\n", what.c_str(), Name({dtype}), gigabytes);
  }

 private:
  double peak_[2];
};

struct Product {
  const char* name;
  int64_t m, n, k;
  int64_t a_stride, b_stride, c_stride;
  bool a_transposed, b_transposed, accumulate, wire_out;
  bool packed = true;
};

// `packed`: the right operand whole and beforehand, as a tile of weights is, where that helps.
void BenchProduct(const Table& table, ProductKind kind, const Product& p) {
  const Dtype dtype = kind.dtype;
  Buffer a(dtype, (p.a_transposed ? p.k : p.m) * p.a_stride);
  Buffer b(dtype, (p.b_transposed ? p.n : p.k) * p.b_stride);
  Buffer c(Dtype::kF32, p.m * p.c_stride), workspace(GemmWorkspaceBytes(kind, p.n, p.k));
  Buffer packed(GemmPackedBytes(p.n, p.k));
  const GemmOptions options{.kind = kind, .m = p.m, .n = p.n, .k = p.k, .accumulate = p.accumulate};
  MatrixIn right = {b.data(), p.b_stride, p.b_transposed};
  if (p.packed && PacksRight(kind)) {
    PackRight(kind, right, p.k, 0, p.n, packed.span());
    right.packed = {packed.data(), p.k};
  }
  const double seconds = BestSeconds([&] {
    Gemm(options, {a.data(), p.a_stride, p.a_transposed}, right,
         {c.data(), p.c_stride, p.wire_out ? dtype : Dtype::kF32}, workspace.span());
  });
  const std::string shape =
      std::to_string(p.m) + "x" + std::to_string(p.n) + "x" + std::to_string(p.k);
  table.Flops(kind, std::string(p.name) + " " + shape, 2.0 * p.m * p.n * p.k / seconds * 1e-9);
}

void BenchProducts(const Table& table, int64_t tokens) {
  const int64_t rows = kTileRows;
  const Product products[] = {
      {"forward qkv tile", tokens, kHidden, kHidden, kHidden, kHidden, 3 * kHidden, false, true,
       false, true},
      {"forward up tile", tokens, rows, kHidden, kHidden, kHidden, kWide, false, true, false, true},
      {"forward down tile", tokens, kHidden / 2, kWide, kWide, kWide, kHidden, false, true, true,
       false},
      {"logits tile", 256, rows, kHidden, kHidden, kHidden, rows, false, true, false, false},
      {"delta from up tile", tokens, kHidden, rows, kWide, kHidden, kHidden, false, false, true,
       false},
      {"delta from down tile", tokens, kWide, kHidden / 2, kHidden, kWide, kWide, false, false,
       true, false},
      {"gradient of up tile", rows, kHidden, tokens, kWide, kHidden, kHidden, true, false, false,
       false, false},
      {"gradient of down tile", kHidden / 2, kWide, tokens, kHidden, kWide, kWide, true, false,
       false, false},
  };
  for (const Product& p : products) {
    for (const ProductKind kind : kKinds) BenchProduct(table, kind, p);
  }
}

void BenchAttention(const Table& table, ProductKind kind, int64_t tokens) {
  const Dtype dtype = kind.dtype;
  const int64_t stride = 3 * kHidden;
  Buffer qkv(dtype, tokens * stride), d_qkv(dtype, tokens * stride);
  Buffer out(dtype, tokens * kHidden), lse(Dtype::kF32, tokens);
  Buffer workspace(AttentionBackwardWorkspaceBytes(kind, tokens, kHeadDim));
  const AttentionOptions options{.products = kind,
                                 .tokens = tokens,
                                 .head_dim = kHeadDim,
                                 .q_stride = stride,
                                 .kv_stride = stride,
                                 .out_stride = kHidden};
  const auto part = [&](Buffer& x, int which, int64_t head) {
    return static_cast<std::byte*>(x.data()) + (which * kHidden + head * kHeadDim) * BytesOf(dtype);
  };
  int64_t head = 0;
  const auto in = [&] {
    head = (head + 1) % kHeads;
    return AttentionInputs{part(qkv, 0, head), part(qkv, 1, head), part(qkv, 2, head)};
  };
  const double product = 2.0 * tokens * (tokens + 1) / 2 * kHeadDim * 1e-9;  // one, causal
  const std::string shape = std::to_string(tokens) + " tokens x " + std::to_string(kHeadDim);
  table.Flops(kind, "attention forward " + shape,
              2 * product / BestSeconds([&] {
                const AttentionInputs x = in();
                AttentionForward(options, x, part(out, 0, head), lse.floats(), workspace.span());
              }));
  table.Flops(kind, "attention backward " + shape,
              5 * product / BestSeconds([&] {
                const AttentionInputs x = in();
                AttentionBackward(
                    options, x, lse.floats(), part(out, 0, head),
                    {part(d_qkv, 0, head), part(d_qkv, 1, head), part(d_qkv, 2, head)},
                    workspace.span());
              }));
}

void BenchRows(const Table& table, Dtype dtype, int64_t tokens) {
  const size_t n = tokens * kHidden;
  const size_t element = BytesOf(dtype);
  Buffer x(Dtype::kF32, n), d_out(Dtype::kF32, n), delta(Dtype::kF32, n), y(dtype, n), u(dtype, n);
  Buffer gamma(dtype, kHidden), beta(dtype, kHidden);
  Buffer d_gamma(Dtype::kF32, kHidden), d_beta(Dtype::kF32, kHidden);
  const LayerNormOptions norm{.rows = tokens, .hidden = kHidden, .parameters = dtype};
  const auto rate = [n](double bytes, const std::function<void()>& run) {
    return n * bytes / BestSeconds(run) * 1e-9;
  };
  table.Bytes(dtype, "LayerNorm forward", rate(4 + element, [&] {
                LayerNormForward(norm, x.floats(), gamma.data(), beta.data(), dtype, y.data());
              }));
  table.Bytes(dtype, "LayerNorm backward", rate(16, [&] {
                std::fill_n(delta.floats(), n, 0.0f);
                LayerNormBackward(norm, x.floats(), gamma.data(), d_out.floats(), delta.floats(),
                                  d_gamma.floats(), d_beta.floats());
              }));
  table.Bytes(dtype, "GELU forward",
              rate(2 * element, [&] { GeluForward(GeluBy::kTanh, dtype, u.data(), y.data(), n); }));
  table.Bytes(dtype, "GELU backward", rate(4 + 2 * element, [&] {
                GeluBackward(GeluBy::kTanh, dtype, u.data(), d_out.floats(), y.data(), n);
              }));
  table.Bytes(dtype, "column sum", rate(element, [&] {
                ColumnSum(dtype, u.data(), tokens, kHidden, kHidden, d_beta.floats());
              }));
}

void BenchLoss(const Table& table, Dtype dtype) {
  constexpr int64_t kRows = 256;
  const size_t n = kRows * kTileRows;
  Buffer logits(Dtype::kF32, n), d_logits(dtype, n);
  std::vector<float> floats(kRows * sizeof(RowLoss) / sizeof(float));
  const RowLosses state{floats.data()};
  const std::vector<int32_t> targets(kRows, 7);
  const std::vector<float> lse(kRows, 8.0f);
  const LogitsBlock block{
      .rows = kRows, .ids = kTileRows, .logits = logits.floats(), .stride = kTileRows};
  StartLoss(kRows, state);
  table.Bytes(dtype, "loss forward",
              1e-9 * n * 4 / BestSeconds([&] { UpdateLoss(block, targets.data(), state); }));
  table.Bytes(dtype, "loss backward", 1e-9 * n * (4 + BytesOf(dtype)) / BestSeconds([&] {
                                        LossBackward(block, targets.data(), lse.data(), {}, 0.5f,
                                                     dtype, d_logits.data(), kTileRows);
                                      }));
}

void BenchArrays(const Table& table) {
  constexpr size_t kElements = size_t{1} << 20;
  Buffer a(Dtype::kF32, kElements), b(Dtype::kF32, kElements), c(Dtype::kBf16, kElements);
  double sink = 0;
  table.Bytes(Dtype::kF32, "Add",
              12e-9 * kElements / BestSeconds([&] { Add(a.floats(), b.floats(), kElements); }));
  table.Bytes(Dtype::kF32, "SquareSum",
              4e-9 * kElements / BestSeconds([&] { sink += SquareSum(b.floats(), kElements); }));
  table.Bytes(Dtype::kBf16, "ConvertToBf16",
              6e-9 * kElements / BestSeconds([&] {
                ConvertToBf16(b.floats(), static_cast<Bf16*>(c.data()), kElements);
              }));
  WS_CHECK(sink > 0);
}

void Run() {
  omp_set_num_threads(1);
  std::printf("kernels: %s\n", KernelIsa().c_str());
  const Table table;
  const Product square = {"square", 2048,  2048,  2048,  2048,  2048,
                          2048,     false, false, false, false, false};
  for (const ProductKind kind : kKinds) BenchProduct(table, kind, square);
  for (int64_t tokens : {256, 1024}) BenchProducts(table, tokens);
  for (int64_t tokens : {256, 1024}) {
    for (const ProductKind kind : kKinds) BenchAttention(table, kind, tokens);
  }
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    BenchRows(table, dtype, 1024);
    BenchLoss(table, dtype);
  }
  BenchArrays(table);
}

}  // namespace
}  // namespace waferstream

int main() { waferstream::Run(); }
