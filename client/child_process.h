// A process that waferctl starts and ends.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/fd.h"
#include "client/process_identity.h"

namespace waferstream {

struct ProcessSpec {
  std::string name;                       // for messages, e.g. "wafer-0"
  std::vector<std::string> argv;          // argv[0]: path of the binary
  std::string log;                        // stdout and stderr are appended to this file
  std::vector<std::string> without = {};  // variables of ours that it does not get
  bool stays = false;                     // outlives its parent, in a session of its own
  int inherited_fd = -1;                  // the one descriptor beside 0, 1, 2 that it gets, if any
};

// One child. From Start() on it is either running or reaped; the destructor kills what still runs.
// A child is in a process group of its own, so that the terminal's Ctrl-C reaches waferctl alone,
// and gets SIGTERM from the kernel when waferctl dies, however it dies. Danger: the kernel ties
// that to the *thread* that called Start(), which must therefore be the main thread.
class ChildProcess {
 public:
  // Returns when the binary runs. NOT_FOUND or PERMISSION_DENIED if it cannot be executed.
  static absl::StatusOr<ChildProcess> Start(const ProcessSpec& spec);

  // A process that its parent, now gone, started from `spec`: from here on it is like a child,
  // except that nobody tells us how it ends. It may have ended already.
  static ChildProcess Adopt(const ProcessSpec& spec, const ProcessIdentity& process);

  ChildProcess(ChildProcess&& other) noexcept;
  // What ran here before is killed.
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();

  const std::string& name() const { return name_; }
  const std::string& log() const { return log_; }
  pid_t pid() const { return pid_; }

  // True until the end of the child was seen here.
  bool Running();
  // "exited with code 3", "was ended by signal 9 (Killed)"; empty while it runs.
  std::string HowItEnded() const;
  // Of a child that exited.
  std::optional<int> exit_code() const;

  // Does nothing once the child ended: its number may belong to another process by then.
  void Signal(int signal);
  // Lets it live on without us.
  void Release() { pid_ = -1; }

 private:
  ChildProcess(const ProcessSpec& spec, pid_t pid) : name_(spec.name), log_(spec.log), pid_(pid) {}

  void KillAndReap();

  std::string name_;
  std::string log_;
  pid_t pid_;   // -1: released or moved from
  Fd adopted_;  // of a process that is not our child
  bool ended_ = false;
  std::optional<int> wait_status_;  // of a child that was reaped
};

// SIGTERM to all, up to `grace` for all of them together, then SIGKILL. All are reaped on return.
void StopAll(std::vector<ChildProcess>& children, absl::Duration grace);

}  // namespace waferstream
