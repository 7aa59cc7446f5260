// Who changed what on a cluster: a file of JSON lines that is only appended to.
//
// Two lines a request that would change something, joined by `call`: one before anything is done,
// with who asks for what, and one with the outcome, before the answer goes out. Of a request that
// is refused at the door there is one. The file is opened for every line, so that it may be moved
// away (logrotate) at any time.
#pragma once

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace waferstream {

struct AuditEntry {
  std::string call = {};    // names the request
  std::string method;       // "Submit", "Cancel", "Resume", "CordonNode"
  std::string user = {};    // who asks; empty: not known
  std::string peer = {};    // where the call came from
  std::string target;       // a job or a node
  std::string detail = {};  // what else is asked for
};

// Thread-safe. A call writes one line with the system, so that no process's end loses it; a
// machine's may.
class AuditLog {
 public:
  explicit AuditLog(std::string path) : path_(std::move(path)) {}

  // UNAVAILABLE: it cannot be written, and nothing may be done then.
  absl::Status Asked(const AuditEntry& entry);
  // `target`: the job that the request became or meant, where that is known by now.
  absl::Status Answered(const AuditEntry& entry, const absl::Status& outcome,
                        const std::string& target);
  absl::Status Refused(const AuditEntry& entry, const absl::Status& why);

 private:
  absl::Status Append(const std::string& line);

  const std::string path_;
  absl::Mutex mutex_;
};

}  // namespace waferstream
