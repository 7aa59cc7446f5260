#include "base/line_limit.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace waferstream {

std::optional<std::string> LineLimit::Pass(const std::string& line, absl::Time now) {
  absl::MutexLock lock(&mutex_);
  // A clock that was set back begins a window, too.
  if (now >= window_start_ && now < window_start_ + kWindow) {
    if (++lines_ > kLinesMax) return std::nullopt;
    return line;
  }
  window_start_ = now;
  const int silent = std::max(std::exchange(lines_, 1) - kLinesMax, 0);
  if (silent == 0) return line;
  return absl::StrCat(line, " (", silent, " like it were not logged)");
}

}  // namespace waferstream
