// What the kernels are tested against: the formulas as written on paper, in double, one element at
// a time. Test-only.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/dtype.h"
#include "base/philox.h"

namespace waferstream::reference {

using Array = std::vector<double>;

// An array as the kernels see it, of either dtype, and the exact values that it holds.
struct Typed {
  Dtype dtype = Dtype::kF32;
  std::vector<float> wide;
  std::vector<Bf16> narrow;

  void* data() { return dtype == Dtype::kF32 ? static_cast<void*>(wide.data()) : narrow.data(); }
  double at(size_t i) const { return dtype == Dtype::kF32 ? wide[i] : ToFloat(narrow[i]); }
  size_t size() const { return dtype == Dtype::kF32 ? wide.size() : narrow.size(); }
  std::vector<float> floats() const {
    std::vector<float> all(size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<float>(at(i));
    return all;
  }
  Array values() const {
    Array all(size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = at(i);
    return all;
  }
};

inline Typed Zeros(Dtype dtype, size_t n) {
  Typed x{.dtype = dtype, .wide = {}, .narrow = {}};
  dtype == Dtype::kF32 ? x.wide.resize(n) : x.narrow.resize(n);
  return x;
}

// Normal values with the given deviation around `mean`.
inline Typed Random(Dtype dtype, size_t n, uint64_t seed, double deviation = 1, double mean = 0) {
  Typed x = Zeros(dtype, n);
  for (size_t i = 0; i < n; ++i) {
    const float v = mean + deviation * Normal(seed, Purpose::kInitialise, 0, i)[0];
    dtype == Dtype::kF32 ? void(x.wide[i] = v) : void(x.narrow[i] = ToBf16(v));
  }
  return x;
}

// Distance between two arrays, relative to the second's norm (absolute when that is 0).
template <class Left>
double Distance(const Left& got, const Array& want) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double d = static_cast<double>(got[i]) - want[i];
    difference += d * d;
    norm += want[i] * want[i];
  }
  return std::sqrt(norm == 0 ? difference : difference / norm);
}
inline double Distance(const Typed& got, const Array& want) { return Distance(got.values(), want); }

// C [m, n] = op(A) op(B), dense.
inline Array Product(int64_t m, int64_t n, int64_t k, const Array& a, bool a_transposed,
                     const Array& b, bool b_transposed) {
  Array c(m * n);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t l = 0; l < k; ++l) {
        c[i * n + j] += (a_transposed ? a[l * m + i] : a[i * k + l]) *
                        (b_transposed ? b[j * k + l] : b[l * n + j]);
      }
    }
  }
  return c;
}

inline Array LayerNorm(int64_t rows, int64_t hidden, double epsilon, const Array& x,
                       const Array& gamma, const Array& beta) {
  Array y(x.size());
  for (int64_t r = 0; r < rows; ++r) {
    double mean = 0, variance = 0;
    for (int64_t j = 0; j < hidden; ++j) mean += x[r * hidden + j] / hidden;
    for (int64_t j = 0; j < hidden; ++j) {
      variance += std::pow(x[r * hidden + j] - mean, 2) / hidden;
    }
    for (int64_t j = 0; j < hidden; ++j) {
      y[r * hidden + j] =
          (x[r * hidden + j] - mean) / std::sqrt(variance + epsilon) * gamma[j] + beta[j];
    }
  }
  return y;
}

inline double Gelu(double u) {
  return 0.5 * u * (1 + std::tanh(std::sqrt(2 / M_PI) * (u + 0.044715 * u * u * u)));
}

// Causal attention of dense q, k, v [tokens, head_dim]. `lse` may be nullptr.
inline Array Attention(int64_t tokens, int64_t head_dim, const Array& q, const Array& k,
                       const Array& v, Array* lse) {
  Array out(tokens * head_dim);
  for (int64_t i = 0; i < tokens; ++i) {
    Array weight(i + 1);
    double total = 0;
    for (int64_t j = 0; j <= i; ++j) {
      double score = 0;
      for (int64_t c = 0; c < head_dim; ++c) score += q[i * head_dim + c] * k[j * head_dim + c];
      total += weight[j] = std::exp(score / std::sqrt(head_dim));
    }
    for (int64_t j = 0; j <= i; ++j) {
      for (int64_t c = 0; c < head_dim; ++c) {
        out[i * head_dim + c] += weight[j] / total * v[j * head_dim + c];
      }
    }
    if (lse != nullptr) (*lse)[i] = std::log(total);
  }
  return out;
}

inline double Dot(const Array& a, const Array& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// Gradient of dot(f(x), weights) with respect to x, by central differences.
template <class Function>
Array Differences(Array x, const Array& weights, Function f) {
  constexpr double kStep = 1e-5;
  Array gradient(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const double at = x[i];
    x[i] = at + kStep;
    const double up = Dot(f(x), weights);
    x[i] = at - kStep;
    const double down = Dot(f(x), weights);
    x[i] = at;
    gradient[i] = (up - down) / (2 * kStep);
  }
  return gradient;
}

// Rounding of a result: one unit of the type's last place, and room for the sums in fp32.
inline double Tolerance(Dtype dtype) { return dtype == Dtype::kF32 ? 2e-6 : 6e-3; }

}  // namespace waferstream::reference
