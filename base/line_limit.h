// Bounds what strangers can write into a log.
#pragma once

#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace waferstream {

// Of the lines that strangers cause, the first kLinesMax of every kWindow are logged; the next line
// after a window says how many were not. Thread-safe.
class LineLimit {
 public:
  static constexpr int kLinesMax = 10;
  static constexpr absl::Duration kWindow = absl::Seconds(10);

  // What to log of `line`; nothing: it is one too many.
  std::optional<std::string> Pass(const std::string& line, absl::Time now = absl::Now());

 private:
  absl::Mutex mutex_;
  absl::Time window_start_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  int lines_ ABSL_GUARDED_BY(mutex_) = 0;  // in this window, logged or not
};

}  // namespace waferstream
