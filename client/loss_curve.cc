#include "client/loss_curve.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace waferstream {
namespace {

constexpr size_t kColumns = 64;
constexpr int kRows = 12;
constexpr size_t kStepsMin = 10;

// Of every column the mean of its share of the losses; NaN: none of them is finite.
std::vector<double> Columns(std::span<const double> losses) {
  const size_t columns = std::min(kColumns, losses.size());
  std::vector<double> means;
  for (size_t c = 0; c < columns; ++c) {
    double sum = 0;
    int count = 0;
    for (size_t i = c * losses.size() / columns; i < (c + 1) * losses.size() / columns; ++i) {
      if (!std::isfinite(losses[i])) continue;
      sum += losses[i];
      ++count;
    }
    means.push_back(count > 0 ? sum / count : std::nan(""));
  }
  return means;
}

}  // namespace

std::string LossCurve(std::span<const double> losses, uint64_t first_step) {
  if (losses.size() < kStepsMin) return "";
  const std::vector<double> means = Columns(losses);
  double low = HUGE_VAL, high = -HUGE_VAL;
  for (const double mean : means) {
    if (!std::isfinite(mean)) continue;
    low = std::min(low, mean);
    high = std::max(high, mean);
  }
  if (low > high) return "";
  const double height = high > low ? high - low : 1;
  std::vector<std::string> rows(kRows, std::string(means.size(), ' '));
  for (size_t c = 0; c < means.size(); ++c) {
    if (!std::isfinite(means[c])) continue;
    const double down = (high - means[c]) / height * (kRows - 1);
    rows[static_cast<size_t>(std::lround(down))][c] = '*';
  }
  std::string text = "loss\n";
  for (int r = 0; r < kRows; ++r) {
    // As on an axis: a number at the top, in the middle and at the bottom.
    const bool named = r == 0 || r == kRows / 2 || r == kRows - 1;
    const std::string value =
        named ? absl::StrFormat("%9.4f", high - height * r / (kRows - 1)) : std::string(9, ' ');
    absl::StrAppend(&text, value, " |", rows[r], "\n");
  }
  absl::StrAppend(&text, std::string(10, ' '), "+", std::string(means.size(), '-'), "\n");
  const std::string first = absl::StrCat("step ", first_step + 1);
  const std::string last = absl::StrCat(first_step + losses.size());
  const size_t used = first.size() + last.size();
  const size_t gap = means.size() > used ? means.size() - used : 1;
  absl::StrAppend(&text, std::string(11, ' '), first, std::string(gap, ' '), last, "\n");
  return text;
}

}  // namespace waferstream
