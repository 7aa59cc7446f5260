#include "base/log.h"

#include <spdlog/formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/flags.h"
#include "base/log_line.h"
#include "base/regular_file.h"
#include "base/status.h"
#include "base/trace.h"

namespace waferstream {
namespace {

// A pattern of the library's would not escape what it inserts.
class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& line) override {
    const auto view = [](spdlog::string_view_t text) {
      return absl::string_view(text.data(), text.size());
    };
    const std::string json = JsonLogLine(absl::FromChrono(message.time),
                                         view(spdlog::level::to_string_view(message.level)),
                                         view(message.logger_name), view(message.payload));
    line.append(json.data(), json.data() + json.size());
    line.push_back('\n');
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>();
  }
};

spdlog::sink_ptr MakeSink(const std::string& file) {
  if (file.empty()) return std::make_shared<spdlog::sinks::stderr_sink_mt>();
  return std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
}

}  // namespace

void AddLogFlags(CLI::App& app, LogTerms& terms) {
  AddPath(app, "--log", terms.file, "Log file [standard error]");
  AddWord(app, "--log-level", terms.level, "debug|info|warn|error", "Lowest level logged [info]");
  AddWord(app, "--log-format", terms.format, "text|json",
          "A line of text, or a JSON object a line [text]");
  AddPath(app, "--trace", terms.trace,
          "File for what this process does when, as Chrome trace events [none]");
}

absl::StatusOr<std::shared_ptr<spdlog::logger>> OpenLog(const std::string& process,
                                                        const LogTerms& terms) {
  if (!terms.file.empty()) RETURN_IF_ERROR(CheckAppendable(terms.file));
  if (!terms.trace.empty()) RETURN_IF_ERROR(OpenTrace(terms.trace, process));
  try {
    auto log = std::make_shared<spdlog::logger>(process, MakeSink(terms.file));
    if (terms.format == "json") log->set_formatter(std::make_unique<JsonFormatter>());
    log->set_level(spdlog::level::from_str(terms.level));
    log->flush_on(spdlog::level::trace);
    return log;
  } catch (const spdlog::spdlog_ex& error) {
    return absl::UnavailableError(absl::StrCat("log file ", terms.file, ": ", error.what()));
  }
}

}  // namespace waferstream
