// One line of a log, as it is written and as it is read again. A log has one of two formats:
//   text  [2026-01-31 23:59:59.123] [wafer-0] [info] message
//   json  {"time":"2026-01-31T22:59:59.123Z","level":"info","process":"wafer-0","message":"..."}
// Text is in local time, JSON in UTC. Levels: debug, info, warning, error, critical.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace waferstream {

// Of the format json, without the end of the line. Whatever bytes the texts have, it is one line of
// JSON in UTF-8: what is no UTF-8 becomes U+FFFD.
std::string JsonLogLine(absl::Time time, absl::string_view level, absl::string_view process,
                        absl::string_view message);

struct ReadLogLine {
  bool trouble;      // more than debug and info; or no line of a log, as what a library prints
  std::string text;  // in the format text
};

// Of either format; a log file may hold both, and lines that are neither.
ReadLogLine ParseLogLine(const std::string& line);

}  // namespace waferstream
