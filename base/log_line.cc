#include "base/log_line.h"

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/json.h"

namespace waferstream {
namespace {

constexpr char kTimeFormat[] = "%Y-%m-%dT%H:%M:%E3SZ";

std::string TextOf(const nlohmann::json& line, const char* name) {
  const auto at = line.find(name);
  return at != line.end() && at->is_string() ? at->get<std::string>() : "";
}

}  // namespace

std::string JsonLogLine(absl::Time time, absl::string_view level, absl::string_view process,
                        absl::string_view message) {
  nlohmann::ordered_json line;
  line["time"] = absl::FormatTime(kTimeFormat, time, absl::UTCTimeZone());
  line["level"] = std::string(level);
  line["process"] = std::string(process);
  line["message"] = std::string(message);
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

ReadLogLine ParseLogLine(const std::string& line) {
  const absl::StatusOr<nlohmann::json> json =
      absl::StartsWith(line, "{") ? ParseJson(line) : nlohmann::json();
  if (!json.ok() || !json->is_object() || !json->contains("level")) {
    const bool calm = absl::StrContains(line, "[info]") || absl::StrContains(line, "[debug]");
    return {.trouble = !calm, .text = line};
  }
  const std::string level = TextOf(*json, "level");
  return {.trouble = level != "info" && level != "debug",
          .text = absl::StrCat("[", TextOf(*json, "time"), "] [", TextOf(*json, "process"), "] [",
                               level, "] ", TextOf(*json, "message"))};
}

}  // namespace waferstream
