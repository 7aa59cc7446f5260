#include "bench/square.h"

#include <cstdint>

#include "bench/buffer.h"
#include "bench/timing.h"
#include "oneapi/dnnl/dnnl.hpp"
#include "plan/kernel_workspace.h"
#include "wafer_node/kernels/gemm.h"

namespace waferstream {
namespace {

constexpr int64_t kSide = 2048;
constexpr int kRepetitions = 5;

double Gflops(double seconds) { return 2.0 * kSide * kSide * kSide / seconds * 1e-9; }

}  // namespace

double OneDnnSquareGflops(Dtype dtype) try {
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const auto type =
      dtype == Dtype::kF32 ? dnnl::memory::data_type::f32 : dnnl::memory::data_type::bf16;
  const dnnl::memory::desc in({kSide, kSide}, type, dnnl::memory::format_tag::ab);
  const dnnl::memory::desc out({kSide, kSide}, dnnl::memory::data_type::f32,
                               dnnl::memory::format_tag::ab);
  const dnnl::matmul matmul({{in, in, out}, engine});
  Buffer a(dtype, kSide * kSide), b(dtype, kSide * kSide), c(Dtype::kF32, kSide * kSide);
  const dnnl::memory left(in, engine, a.data()), right(in, engine, b.data());
  const dnnl::memory product(out, engine, c.data());
  const auto multiply = [&] {
    matmul.execute(stream,
                   {{DNNL_ARG_SRC, left}, {DNNL_ARG_WEIGHTS, right}, {DNNL_ARG_DST, product}});
  };
  return Gflops(BestSeconds(multiply, kRepetitions));
} catch (const dnnl::error&) {
  return 0;
}

double OurSquareGflops(Dtype dtype) {
  Buffer a(dtype, kSide * kSide), b(dtype, kSide * kSide), c(Dtype::kF32, kSide * kSide);
  Buffer workspace(GemmWorkspaceBytes({dtype}, kSide, kSide));
  const auto multiply = [&] {
    Gemm({.kind = {dtype}, .m = kSide, .n = kSide, .k = kSide}, {a.data(), kSide},
         {b.data(), kSide}, {c.data(), kSide}, workspace.span());
  };
  return Gflops(BestSeconds(multiply, kRepetitions));
}

}  // namespace waferstream
