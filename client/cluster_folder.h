// What the processes of a cluster leave in its folder: logs/, state/ with the controller's port,
// and traces/ if they are asked for.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "client/child_process.h"

namespace waferstream {

absl::Status MakeClusterFolders(const std::string& dir);
absl::Status MakeTraceFolder(const std::string& dir);
std::string TraceFolderIn(const std::string& dir);

// host:port. Empty until the controller has written it, which it does in one rename.
std::string ReadPortFile(const std::string& path);

// What a process said last in its log about its troubles, or, if it had none, at all.
std::string LastWords(const std::string& log);

// Of a process that has ended: "wafer-0: exited with code 1; /x/wafer-0.log: ...".
std::string Obituary(const ChildProcess& process);
std::string Obituary(const ChildProcess& process, const std::string& how);

}  // namespace waferstream
