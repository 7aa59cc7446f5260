// The log of a process: where it goes, from which level on, and in which format (base/log_line.h).
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace CLI {
class App;
}
namespace spdlog {
class logger;
}

namespace waferstream {

struct LogTerms {
  std::string file = "";        // is appended to; empty: standard error
  std::string level = "info";   // the lowest that is logged: debug, info, warn or error
  std::string format = "text";  // or json
  std::string trace = "";       // file of a trace (base/trace.h); empty: none
};

// --log, --log-level, --log-format, --trace.
void AddLogFlags(CLI::App& app, LogTerms& terms);

// Begins the trace, too, if there is to be one. Every line is with the system when it has been
// logged: a reader, and a crash, find the last one. `process` is what lines, and the trace, call
// this process. Any thread may log. One line, naming the file: it is no plain file, or cannot be
// written.
absl::StatusOr<std::shared_ptr<spdlog::logger>> OpenLog(const std::string& process,
                                                        const LogTerms& terms);

}  // namespace waferstream
