// What a process owes to the programs that start it, and may not take from them.
#pragma once

#include <signal.h>

#include <cstddef>
#include <initializer_list>
#include <string>

#include "absl/status/status.h"

namespace waferstream {

// The first thing in every main(), before a second thread exists. Afterwards, however the process
// was started:
// - descriptors 0, 1 and 2 are open (one that was closed is /dev/null), so that no file or socket
//   of ours ever takes the place of a standard stream;
// - no signal is blocked, the end of a child can be waited for, and a reader that went away is a
//   failed write, not a death;
// - the limit of open descriptors is as high as the system allows;
// - no variable in the environment that is a library's (gRPC, OpenMP, oneDNN), and not documented
//   here, changes what the process or its children do;
// - running out of memory, or an exception that nobody expected, ends it with one line that says
//   so, and exit code 1.
// Signals that were ignored stay ignored (`nohup`, `&` in a script): see IgnoredSignal.
void SettleProcess();

// Whether whoever started this process wants it to ignore `signal`. Ask before a handler is set.
bool IgnoredSignal(int signal);

// Those of `signals` that are not ignored.
sigset_t HeededSignals(std::initializer_list<int> signals);

// What a process of one node, or of the controller, has open beside its connections: log, store,
// data and checkpoint files, and what gRPC and Asio need for themselves.
inline constexpr size_t kOwnDescriptors = 40;

// RESOURCE_EXHAUSTED, with both numbers, if `who` cannot have `needed` descriptors open at a time.
absl::Status CheckDescriptors(const std::string& who, size_t needed);

// Writes out what stdout still holds, of C and of C++. An error: some of it did not get through.
absl::Status FlushStdout();

}  // namespace waferstream
