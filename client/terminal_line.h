// The last line of a terminal, rewritten in place. Used from one thread.
#pragma once

#include <cstdio>
#include <string>

#include "absl/time/time.h"

namespace waferstream {

class TerminalLine {
 public:
  // `out` must outlive this.
  explicit TerminalLine(std::FILE* out) : out_(out) {}
  // Leaves the cursor on a fresh line.
  ~TerminalLine() { Clear(); }
  TerminalLine(const TerminalLine&) = delete;
  TerminalLine& operator=(const TerminalLine&) = delete;

  // Whether the line that stands there was not just drawn: faster than it is redrawn nobody reads.
  bool IsDue(absl::Time now) const;
  // What does not fit is cut off.
  void Show(const std::string& line, absl::Time now);
  // Takes the line away.
  void Clear();

  // Whether stderr is a terminal that can rewrite a line.
  static bool IsStderr();

 private:
  std::FILE* const out_;
  bool shown_ = false;
  absl::Time last_at_;
};

}  // namespace waferstream
