#include "base/nearest_name.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace waferstream {
namespace {

constexpr size_t kGuessedBytesMax = 64;  // nothing longer is a slip of the pen

// Levenshtein's.
size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

NearestName::NearestName(absl::string_view name)
    : name_(name),
      least_(name.size() > kGuessedBytesMax ? 0 : std::max<size_t>(2, name.size() / 3) + 1) {}

void NearestName::Consider(absl::string_view known) {
  if (least_ == 0) return;
  const size_t distance = EditDistance(name_, known);
  if (distance >= least_) return;
  least_ = distance;
  found_ = known;
}

}  // namespace waferstream
