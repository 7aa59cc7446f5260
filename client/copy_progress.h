// How far a copy of a model is, on stderr, where that is a terminal.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "absl/time/time.h"
#include "client/terminal_line.h"

namespace waferstream {

// "[=======             ] 37%  1.9 GiB of 5.0 GiB  412.0 MiB/s  7.70s left"; the rate and what
// is left once there is something to tell them by.
std::string FormatCopy(uint64_t done, uint64_t total, absl::Duration since);

// Used from one thread.
class CopyProgress {
 public:
  CopyProgress(std::FILE* out, bool shows, absl::Time start)
      : line_(out), shows_(shows), start_(start) {}

  // May be called as often as is convenient.
  void Update(uint64_t done, uint64_t total, absl::Time now);

 private:
  TerminalLine line_;
  const bool shows_;
  const absl::Time start_;
};

}  // namespace waferstream
