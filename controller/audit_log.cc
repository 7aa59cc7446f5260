#include "controller/audit_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/fd.h"
#include "base/json.h"

namespace waferstream {
namespace {

using Json = nlohmann::ordered_json;

Json LineOf(const AuditEntry& entry, const char* stage) {
  return Json{{"time", absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone())},
              {"call", entry.call},
              {"stage", stage},
              {"method", entry.method},
              {"user", entry.user},
              {"peer", entry.peer},
              {"target", entry.target},
              {"detail", entry.detail}};
}

Json WithOutcome(Json line, const absl::Status& outcome) {
  line["code"] = absl::StatusCodeToString(outcome.code());
  line["message"] = outcome.message();
  return line;
}

// What a user gave need not be UTF-8.
std::string Text(const Json& line) {
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

absl::Status AuditLog::Asked(const AuditEntry& entry) {
  return Append(Text(LineOf(entry, "asked")));
}

absl::Status AuditLog::Answered(const AuditEntry& entry, const absl::Status& outcome,
                                const std::string& target) {
  AuditEntry known = entry;
  if (!target.empty()) known.target = target;
  return Append(Text(WithOutcome(LineOf(known, "answered"), outcome)));
}

absl::Status AuditLog::Refused(const AuditEntry& entry, const absl::Status& why) {
  return Append(Text(WithOutcome(LineOf(entry, "refused"), why)));
}

absl::Status AuditLog::Append(const std::string& line) {
  const auto trouble = [this](int error) {
    return absl::UnavailableError(
        absl::StrCat("the audit log ", path_, " cannot be written: ", std::strerror(error)));
  };
  absl::MutexLock lock(&mutex_);
  const Fd file(open(path_.c_str(),
                     O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  if (!file.valid()) return trouble(errno);
  const ssize_t written = write(file.get(), line.data(), line.size());
  if (written == static_cast<ssize_t>(line.size())) return absl::OkStatus();
  return trouble(written < 0 ? errno : ENOSPC);
}

}  // namespace waferstream
