#include "checkpoint/initialise.h"

#include <algorithm>

#include "base/normal_array.h"

namespace waferstream {
namespace {

constexpr int64_t kUnitElements = int64_t{16} * 1024;

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
    FillNormal(seed, Purpose::kInitialise, index, parameter.init_std, first + at,
               std::min(kUnitElements, n - at), values + at);
  });
}

}  // namespace waferstream
