#include "checkpoint/initialise.h"

#include <algorithm>

#include "base/philox.h"

namespace waferstream {
namespace {

constexpr int64_t kUnitElements = int64_t{16} * 1024;

// Elements [first, first + n); an odd end draws a pair of which it uses one value.
void FillNormal(uint64_t seed, int index, double std, int64_t first, int64_t n, float* values) {
  for (int64_t e = first; e < first + n;) {
    const auto pair = Normal(seed, Purpose::kInitialise, index, e / 2);
    do {
      values[e - first] = static_cast<float>(std * pair[e % 2]);
      ++e;
    } while (e % 2 != 0 && e < first + n);
  }
}

}  // namespace

void InitialiseRows(const Parameter& parameter, int index, uint64_t seed, RowSpan rows,
                    Parallel& parallel, float* values) {
  const int64_t first = rows.first * parameter.cols, n = rows.count * parameter.cols;
  if (parameter.init_std == 0) {
    std::fill_n(values, n, static_cast<float>(parameter.init_value));
    return;
  }
  const int units = static_cast<int>((n + kUnitElements - 1) / kUnitElements);
  parallel.For(units, [&](int unit, int) {
    const int64_t at = unit * kUnitElements;
    FillNormal(seed, index, parameter.init_std, first + at, std::min(kUnitElements, n - at),
               values + at);
  });
}

}  // namespace waferstream
